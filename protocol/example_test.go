package protocol_test

import (
	"fmt"

	"emujail/protocol"
)

// A request comes in, is read, and gets its reply in the version it asked for.
func Example() {
	request, err := protocol.ParseRequest([]byte("PROXYFOR=pcvm1-1 VERSION=20 creator "))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(request.Command, "for", request.NodeID(), "from inside:", request.AsVNode())

	creator, err := protocol.ParseCreator([]byte("CREATOR=alice SWAPPER=bob\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("version 40: %s", creator.Append(nil, protocol.Version))
	fmt.Printf("version %d: %s", request.Version, creator.Append(nil, request.Version))
	// Output:
	// creator for pcvm1-1 from inside: true
	// version 40: CREATOR=alice SWAPPER=bob
	// version 20: CREATOR=alice
}

// A line that can't be read doesn't spoil the others.
func ExampleLineError() {
	hosts, err := protocol.ParseHostNames([]byte("NAME=node-a-lan0 IP=10.1.1.2 ALIASES='node-a-0 node-a'\nNAME=node-b-lan0\n"))
	fmt.Println(err)
	fmt.Println(len(hosts), hosts[0].Aliases)
	// Output:
	// line 2: no IP=
	// 1 [node-a-0 node-a]
}

// A fullconfig is the replies to many commands, one after the other.
func ExampleSplitFullConfig() {
	blocks, err := protocol.SplitFullConfig([]byte("*** nodeid\npcvm1-1\n*** nodeid\n*** keyhash\n*** keyhash\n"))
	fmt.Println(err)
	for _, b := range blocks {
		fmt.Printf("%s: %q\n", b.Command, b.Body)
	}
	// Output:
	// <nil>
	// nodeid: "pcvm1-1\n"
	// keyhash: ""
}
