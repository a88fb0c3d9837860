package series

import (
	"net/url"
	"strings"
)

// Hosts are the hosts that a client's metrics tell apart, up to a bound; all beyond are one.
type Hosts struct{ seen *Table[Host, Host] }

// NewHosts returns an empty set for at most most hosts.
func NewHosts(most int) Hosts {
	return Hosts{New(most, func(h Host) Host { return h }, func() Host { return Host{Other, ""} })}
}

// Of returns the host and port that u names, the port of the scheme if it names none.
func (h Hosts) Of(u *url.URL) Host {
	host := Host{Name: u.Hostname(), Port: u.Port()}
	if host.Port == "" {
		host.Port = "80"
		if u.Scheme == "https" {
			host.Port = "443"
		}
	}
	for i := range len(host.Name) {
		if c := host.Name[i]; 'A' <= c && c <= 'Z' {
			host.Name = strings.ToLower(host.Name)
			break
		}
	}
	return h.seen.Get(host, ownHost)
}

func ownHost(h Host) Host { return Host{strings.Clone(h.Name), strings.Clone(h.Port)} }
