package answer

import "crypto/md5" //nolint:gosec // crypt(3)'s $1$ is MD5 by definition

// md5Crypt is crypt(3) with "$1$": a password hash that every Unix of the time
// reads. Salt is at most 8 characters.
func md5Crypt(password, salt string) string {
	const magic = "$1$"
	salt = salt[:min(8, len(salt))]
	inner := md5.Sum([]byte(password + salt + password))
	h := md5.New()
	h.Write([]byte(password + magic + salt))
	for n := len(password); n > 0; n -= 16 {
		h.Write(inner[:min(16, n)])
	}
	for n := len(password); n > 0; n >>= 1 {
		if n&1 == 1 {
			h.Write([]byte{0})
		} else {
			h.Write([]byte(password[:1]))
		}
	}
	sum := h.Sum(nil)
	for round := range 1000 {
		h.Reset()
		first, last := []byte(password), sum
		if round&1 == 0 {
			first, last = last, first
		}
		h.Write(first)
		if round%3 != 0 {
			h.Write([]byte(salt))
		}
		if round%7 != 0 {
			h.Write([]byte(password))
		}
		h.Write(last)
		sum = h.Sum(sum[:0:0])
	}
	return magic + salt + "$" + encodeMD5(sum)
}

// encodeMD5 writes 16 bytes in crypt's own order and alphabet.
func encodeMD5(sum []byte) string {
	const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var out []byte
	put := func(v uint, n int) {
		for range n {
			out = append(out, alphabet[v&0x3f])
			v >>= 6
		}
	}
	for _, i := range [][3]int{{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}} {
		put(uint(sum[i[0]])<<16|uint(sum[i[1]])<<8|uint(sum[i[2]]), 4)
	}
	put(uint(sum[11]), 2)
	return string(out)
}
