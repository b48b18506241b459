package protocol

// KeyHash is the reply to keyhash: the secret that a node shows when it fetches
// files over the web. "" is an empty reply.
type KeyHash string

// EventKey is the reply to eventkey: the secret that the experiment's events are
// signed with. "" is an empty reply.
type EventKey string

// RootPassword is the reply to rootpswd: the crypt hash of root's password, with
// a new salt each time. "" is an empty reply.
type RootPassword string

// RootPubKeys is the reply to localization: lines for root's authorized_keys.
type RootPubKeys []string

// secret is a line with one value.
type secret struct {
	key   string
	quote byte // 0: none
	value string
	extra Extra
}

func (s *secret) fields(c *codec) {
	c.need(s.key)
	if s.quote == 0 {
		c.text(s.key, &s.value)
	} else {
		c.free(s.key, s.quote, &s.value)
	}
	c.extra(&s.extra)
}

// parse reads the values of all lines. Words besides the value are dropped:
// these replies are one string to everyone who asks.
func (s secret) parse(b []byte, tag string) ([]string, error) {
	var all []string
	err := eachRecord(b, func(c *codec) error {
		if c.tag != tag {
			return unexpected(c.tag)
		}
		one := secret{key: s.key, quote: s.quote}
		if one.fields(c); c.err == nil && one.value != "" {
			all = append(all, one.value)
		}
		return c.err
	})
	return all, err
}

func (s secret) append(dst []byte, version int, tag string) []byte {
	if s.value == "" {
		return dst
	}
	c := renderer(dst, version)
	c.begin(tag)
	s.fields(&c)
	c.end()
	return c.dst
}

func lastOf(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// ParseKeyHash reads the reply to keyhash.
func ParseKeyHash(b []byte) (KeyHash, error) {
	all, err := secret{key: "HASH", quote: '\''}.parse(b, "KEYHASH")
	return KeyHash(lastOf(all)), err
}

// Append renders the reply.
func (k KeyHash) Append(dst []byte, version int) []byte {
	return secret{key: "HASH", quote: '\'', value: string(k)}.append(dst, version, "KEYHASH")
}

// ParseEventKey reads the reply to eventkey.
func ParseEventKey(b []byte) (EventKey, error) {
	all, err := secret{key: "KEY", quote: '\''}.parse(b, "EVENTKEY")
	return EventKey(lastOf(all)), err
}

// Append renders the reply.
func (k EventKey) Append(dst []byte, version int) []byte {
	return secret{key: "KEY", quote: '\'', value: string(k)}.append(dst, version, "EVENTKEY")
}

// ParseRootPassword reads the reply to rootpswd.
func ParseRootPassword(b []byte) (RootPassword, error) {
	all, err := secret{key: "HASH"}.parse(b, "")
	return RootPassword(lastOf(all)), err
}

// Append renders the reply.
func (p RootPassword) Append(dst []byte, version int) []byte {
	return secret{key: "HASH", value: string(p)}.append(dst, version, "")
}

// ParseRootPubKeys reads the reply to localization.
func ParseRootPubKeys(b []byte) (RootPubKeys, error) {
	all, err := secret{key: "ROOTPUBKEY", quote: '\''}.parse(b, "")
	return RootPubKeys(all), err
}

// Append renders the reply.
func (r RootPubKeys) Append(dst []byte, version int) []byte {
	for _, key := range r {
		dst = secret{key: "ROOTPUBKEY", quote: '\'', value: key}.append(dst, version, "")
	}
	return dst
}
