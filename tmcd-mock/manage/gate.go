package manage

import (
	"mime"
	"net"
	"net/http"
	"net/url"
)

// gate lets a request through to next when it passes, in this order:
//
//  1. Host: 127.0.0.1, ::1 or localhost, with our port or none; over the unix socket also "unix". A page
//     whose name was made to point here (DNS rebinding) has another.
//  2. Origin, if there is one: the same. A page of another site has another.
//  3. What changes something comes as application/json (POST), or not from a form (DELETE).
func gate(at net.Addr, next http.Handler) http.Handler {
	port := ""
	if tcp, ok := at.(*net.TCPAddr); ok {
		_, port, _ = net.SplitHostPort(tcp.String())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case !ours(r.Host, port):
			refuse(w, http.StatusForbidden, "Host: want localhost or 127.0.0.1")
		case !sameOrigin(r.Header["Origin"], port):
			refuse(w, http.StatusForbidden, "Origin: requests of other sites are refused")
		case r.Method == http.MethodPost && !isJSON(r.Header.Get("Content-Type")):
			refuse(w, http.StatusUnsupportedMediaType, "Content-Type: want application/json")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// ours reports whether host, with or without a port, names this machine and this server.
func ours(host, port string) bool {
	name := host
	if h, p, err := net.SplitHostPort(host); err == nil {
		if p != port {
			return false
		}
		name = h
	}
	switch name {
	case "localhost", "127.0.0.1", "::1", "[::1]":
		return true
	case "unix":
		return port == ""
	}
	return false
}

func sameOrigin(origins []string, port string) bool {
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "http" || !ours(u.Host, port) {
			return false
		}
	}
	return true
}

func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && t == "application/json"
}
