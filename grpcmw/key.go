package grpcmw

import (
	"context"
	"net"
	"net/netip"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/mw-go/mw/core"
)

// ByMethod gives each method a cell of its own. A server with an UnknownServiceHandler should not use it: there the client
// chooses the name.
func ByMethod(_ context.Context, i Info) core.Key { return core.KeyOf(i.Method) }

// ByService gives each service a cell of its own.
func ByService(_ context.Context, i Info) core.Key {
	service, _ := splitMethod(i.Method)
	return core.KeyOf(service)
}

// ByTarget is the key function of a client: whom the call goes to, as dialled.
func ByTarget(_ context.Context, i Info) core.Key { return core.KeyOf(i.Target) }

// ByTargetMethod gives each method of each target a cell of its own.
func ByTargetMethod(_ context.Context, i Info) core.Key {
	return core.KeyOf(i.Target).Join(core.KeyOf(i.Method))
}

// ByMetadata returns a key function by the first value of a key of the incoming metadata, such as an API key that an
// interceptor outside has checked: whoever may choose the value chooses the cell. Calls without one share a cell, and so do
// those with one of more than 256 bytes. key is in lower case.
func ByMetadata(key string) KeyFunc {
	return func(ctx context.Context, _ Info) core.Key {
		v := metadata.ValueFromIncomingContext(ctx, key)
		if len(v) == 0 || len(v[0]) > maxKeyValue {
			return core.Key{}
		}
		return core.KeyOf(v[0])
	}
}

const maxKeyValue = 256

// ByPeer gives each peer of the connection a cell of its own: an IPv4 address, or an IPv6 network of 64 bits. Behind a proxy
// all clients are one. Peers without an address, as on a unix socket, share a cell.
func ByPeer(ctx context.Context, _ Info) core.Key {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return core.Key{}
	}
	tcp, ok := p.Addr.(*net.TCPAddr)
	if !ok {
		return core.Key{}
	}
	a, ok := netip.AddrFromSlice(tcp.IP)
	if !ok {
		return core.Key{}
	}
	if a = a.Unmap(); a.Is6() {
		network, _ := a.WithZone("").Prefix(64)
		a = network.Addr()
	}
	return core.KeyOfAddr(a)
}
