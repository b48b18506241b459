package options

import (
	"fmt"
	"strings"
	"testing"
)

// show renders what a line says, for rows of a table.
func show(l *Line) string {
	var parts []string
	add := func(name string, v any, zero any) {
		if v != zero {
			parts = append(parts, fmt.Sprintf("%s=%v", name, v))
		}
	}
	add("d", l.Debug, false)
	add("s", l.Server, "")
	add("p", l.Port, 0)
	add("v", l.Version, 40)
	add("n", l.VNode, "")
	add("k", l.KeyFile, "")
	add("u", l.UDP, false)
	add("l", l.Unix, "")
	add("t", l.Timeout.String(), "0s")
	add("f", l.DataFile, "")
	add("i", l.NoTLS, false)
	add("T", l.TPM, false)
	add("proxy", l.Proxy, false)
	add("x", l.ProxyPath, "")
	if l.Inet.IsValid() {
		add("X", l.Inet.String(), "")
	}
	add("o", l.LogFile, "")
	add("b", l.Bypass, false)
	add("c", l.Clear, false)
	add("D", l.NoProxyPath, false)
	add("json", l.JSON, false)
	add("help", l.Help, false)
	add("version", l.ShowVersion, false)
	return strings.Join(append(parts, fmt.Sprintf("%q", l.Words)), " ")
}

func TestParse(t *testing.T) {
	for line, want := range map[string]string{
		"status":                      `["status"]`,
		"rusage LA1=1 LA5=2 LA15=3 D": `["rusage" "LA1=1" "LA5=2" "LA15=3" "D"]`,

		// As getopt: apart, attached, clustered, behind the words, ended by --.
		"-s boss -p 7777 -v 30 -n pcvm1-1 status": `s=boss p=7777 v=30 n=pcvm1-1 ["status"]`,
		"-sboss -p7777 -v30 -npcvm1-1 status":     `s=boss p=7777 v=30 n=pcvm1-1 ["status"]`,
		"-di status":                              `d=true i=true ["status"]`,
		"-dip7777 status":                         `d=true p=7777 i=true ["status"]`,
		"-dip 7777 status":                        `d=true p=7777 i=true ["status"]`,
		"-buDcd status":                           `d=true u=true b=true c=true D=true ["status"]`,
		"status -d":                               `d=true ["status"]`,
		"state ISUP -t 5":                         `t=5s ["state" "ISUP"]`,
		"booterrno -- -1":                         `["booterrno" "-1"]`,
		"-d -- booterrno -1":                      `d=true ["booterrno" "-1"]`,
		"booterrno -- -- -1":                      `["booterrno" "--" "-1"]`,
		"state -":                                 `["state" "-"]`,
		"-n -- status":                            `n=-- ["status"]`,
		"-s -d status":                            `s=-d ["status"]`,
		"-s -json status":                         `s=-json ["status"]`,
		"-p 1 -p 2 status":                        `p=2 ["status"]`,
		"-t 0 status":                             `["status"]`,
		"-k key -f data -t 5 -T accounts":         `k=key t=5s f=data T=true ["accounts"]`,
		"-l /run/tmcc -u isalive":                 `u=true l=/run/tmcc ["isalive"]`,
		"-v 0 status":                             `v=0 ["status"]`,
		"-c":                                      `c=true []`,

		// Our own words: one dash or two, before the command.
		"-json status":     `json=true ["status"]`,
		"--json -d status": `d=true json=true ["status"]`,
		"-help":            `help=true []`,
		"--help status":    `help=true ["status"]`,
		"-version":         `version=true []`,
		"-- -json":         `["-json"]`,
		"-help -l a -x b":  `l=a proxy=true x=b help=true []`,

		// The proxy.
		"-x /run/p -n a":              `n=a proxy=true x=/run/p []`,
		"-proxy /run/p -n a":          `n=a proxy=true x=/run/p []`,
		"--proxy -n a":                `n=a proxy=true []`,
		"-proxy":                      `proxy=true []`,
		"-n a -d -proxy":              `d=true n=a proxy=true []`,
		"-X 10.0.0.1:99 -n a":         `n=a proxy=true X=10.0.0.1:99 []`,
		"-X :99 -n a":                 `n=a proxy=true X=127.0.0.1:99 []`,
		"-X 10.0.0.1: -n a":           `n=a proxy=true X=10.0.0.1:7778 []`,
		"-X 10.0.0.1 -n a":            `n=a proxy=true X=10.0.0.1:7778 []`,
		"-X : -n a":                   `n=a proxy=true X=127.0.0.1:7778 []`,
		"-X [::1]:99 -n a":            `n=a proxy=true X=[::1]:99 []`,
		"-dx /p -n a -o log -k k -t3": `d=true n=a k=k t=3s proxy=true x=/p o=log []`,

		// The original's conflicts, and ours.
		"-l a -x b -n c":         "error -l and -x exclude each other",
		"-x a -X 1.2.3.4:5 -n c": "error -x and -X exclude each other",
		"-proxy a -X :5 -n c":    "error -x and -X exclude each other",
		"-u -f data accounts":    "error -u and -f exclude each other",
		"-l a -k b status":       "error -l and -k exclude each other",
		"-l a -s b status":       "error -l and -s exclude each other",
		"-T -i status":           "error -T and -i exclude each other",
		"-l a -X :5 -n c":        "error -l and -X exclude each other",
		"-x a -n c status":       `error a proxy takes no command, got "status"`,
		"-x a -n c -json":        "error a proxy asks nothing itself",
		"-x a":                   "error a proxy must be told whose it is: -n",
		"-X :5":                  "error a proxy must be told whose it is: -n",
		"-x a -proxy b -n c":     "error -proxy: one socket is enough",
		"-c -f data":             "error -f, but no command",
		"":                       "error no command",
		"-d":                     "error no command",
		"a b c d e f":            "error 6 words of command, at most 5",
		"-q status":              `error no option -q (in "-q")`,
		"-dq status":             `error no option -q (in "-dq")`,
		"--jason status":         `error no option -- (in "--jason")`,
		"booterrno -1":           `error no option -1 (in "-1"); if it is an argument: tmcc booterrno -- -1`,
		"accounts -json":         "error -json stands behind the command",
		"status -p":              "error -p wants a value: port",
		"-p 0 status":            "error -p: want a number from 1 to 65535",
		"-p 65536 status":        "error -p: want a number",
		"-p http status":         "error -p: want a number",
		"-t -1 status":           "error -t: want a number",
		"-v x status":            "error -v: want a number",
		"-n a/b status":          "error -n: want a node id",
		"-n a=b status":          "error -n: want a node id",
		"-X nowhere:99 -n a":     "error -X: want address:port",
		"-X 1.2.3.4:999999 -n a": "error -X: want address:port",
		"-n aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa status": "error -n: want a node id",
	} {
		t.Run(line, func(t *testing.T) {
			l, err := Parse(strings.Fields(line))
			got := ""
			if err != nil {
				got = "error " + err.Error()
			} else {
				got = show(l)
			}
			isError := strings.HasPrefix(want, "error ")
			if got != want && !(isError && strings.HasPrefix(got, want)) {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestEmptyValues(t *testing.T) {
	for _, args := range [][]string{{"-s", "", "status"}, {"-l", "", "status"}, {"-k", "", "status"}, {"-f", "", "status"}, {"-n", "", "status"}} {
		if _, err := Parse(args); err == nil {
			t.Errorf("%q: taken", args)
		}
	}
}

func TestGiven(t *testing.T) {
	l, err := Parse([]string{"-dp7777", "-proxy", "/p", "-n", "a"})
	if err != nil {
		t.Fatal(err)
	}
	for letter, want := range map[byte]bool{'d': true, 'p': true, 'x': true, 'n': true, 's': false, 'X': false} {
		if l.Given(letter) != want {
			t.Errorf("Given(%c) = %v", letter, !want)
		}
	}
}

// FuzzParse: no line makes it panic, and what is accepted keeps the rules.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"status", "-di status", "-dip7777 status", "booterrno -- -1", "-x /p -n a", "--json -c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := Parse(strings.Fields(s))
		if err != nil || l.Help || l.ShowVersion {
			return
		}
		if len(l.Words) > MaxWords || (len(l.Words) == 0) != (l.Proxy || l.Clear && len(l.Words) == 0) {
			t.Errorf("%q gives %d words", s, len(l.Words))
		}
	})
}
