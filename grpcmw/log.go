package grpcmw

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"

	"github.com/mw-go/mw/internal/jsonline"
)

// LogConfig is the Config of Log. The zero value is the default.
type LogConfig struct {
	// Logger gets one record a call. nil means slog.Default(), looked up at each call.
	Logger *slog.Logger
	// JSON gets one line a call instead, as slog.NewJSONHandler(JSON, nil) would write it, for a fraction of the cost. Each line
	// is one Write, and there is one at a time. nil means that Logger is used; both are a mistake, and panic.
	JSON io.Writer
	// Skip tells which calls are not logged. nil skips none. Health checks, reflection and channelz are not logged unless
	// Everything is set.
	Skip func(i Info) bool
	// Everything logs health checks, reflection and channelz as well. Default false.
	Everything bool
}

// Log returns the policy that logs each call on a server when it is over, also when its handler panicked. Attributes have the
// names of OpenTelemetry's semantic conventions, and of httpmw's access log where they mean the same:
//
//	rpc.system.name              grpc
//	rpc.method                   package.Service/Method, cut at 256 bytes
//	rpc.response.status_code     OK, NOT_FOUND, ...
//	rpc.server.call.duration     seconds
//	mw.kind                      client_stream, server_stream or bidi_stream; absent for unary calls
//	client.address               of the peer, with its port
//	request.id                   if RequestID set it
//	error.type                   panic, timeout, canceled, the reason of a rejection by one of our guards, or the code; absent
//	                             for OK
//
// The level is error for a panic, Internal, Unknown and DataLoss, and Unavailable and DeadlineExceeded that are not our
// guards'; warn for their rejections, which are their purpose; info for the rest. The text of the error is not logged: it may
// hold what the client sent. If the logger does not take the level, nothing is gathered. At most one Config.
func Log(c ...LogConfig) *Interceptor {
	m := &logger{LogConfig: atMostOne("Log", c)}
	if m.JSON != nil {
		if m.Logger != nil {
			panic("grpcmw: Log: a Logger and JSON given, one is meant")
		}
		m.json = jsonline.New(m.JSON)
	}
	return single(m)
}

type logger struct {
	LogConfig
	json *jsonline.Writer // instead of Logger
}

func (*logger) layer() string { return "Log" }

const maxMethod = 256

func (m *logger) server(c *serverCall, at int) (err error) {
	if c.exempt && !m.Everything || m.Skip != nil && m.Skip(Info{Method: c.method, Stream: c.info != nil}) {
		return c.next(at)
	}
	finished := false
	defer func() { m.write(c, err, finished) }()
	err = c.next(at)
	finished = true
	return err
}

// handler returns where records go; nil if they are lines of JSON.
func (m *logger) handler() slog.Handler {
	switch {
	case m.json != nil:
		return nil
	case m.Logger != nil:
		return m.Logger.Handler()
	default:
		return slog.Default().Handler()
	}
}

// write hands the record to the handler directly: Logger.LogAttrs would read the clock once more.
func (m *logger) write(c *serverCall, err error, finished bool) {
	s := c.summary(Summary{}, err, finished)
	level := logLevel(&s)
	log := m.handler()
	if log != nil && !log.Enabled(c.ctx, level) {
		return
	}
	var buf [8]slog.Attr
	attrs := append(buf[:0],
		slog.String("rpc.system.name", "grpc"),
		slog.String("rpc.method", logged(c.method)),
		slog.String("rpc.response.status_code", CodeName(s.Code)),
		slog.Float64("rpc.server.call.duration", s.Duration.Seconds()),
	)
	if c.info != nil {
		attrs = append(attrs, slog.String("mw.kind", kindOf(c.info.IsClientStream, c.info.IsServerStream).String()))
	}
	if p, ok := peer.FromContext(c.Context); ok && p.Addr != nil {
		attrs = append(attrs, slog.String("client.address", addrText(p.Addr)))
	}
	if c.id != "" {
		attrs = append(attrs, slog.String("request.id", c.id))
	}
	if s.ErrorType != "" {
		attrs = append(attrs, slog.String("error.type", s.ErrorType))
	}
	at := c.start.Add(s.Duration)
	if log == nil {
		m.json.Write(at, level, "call", attrs)
		return
	}
	entry := slog.NewRecord(at, level, "call", 0)
	entry.AddAttrs(attrs...) // once: each call may grow the record
	_ = log.Handle(context.WithoutCancel(c.ctx), entry)
}

// addrText is the text of an address, by one allocation where net's own takes four.
func addrText(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || tcp.Zone != "" {
		return a.String()
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	if !ok {
		return a.String()
	}
	var buf [64]byte
	return string(netip.AddrPortFrom(ip.Unmap(), uint16(tcp.Port)).AppendTo(buf[:0]))
}

// logged is a method as it is logged: without the slash, and not longer than a client may make us write.
func logged(method string) string {
	if len(method) > 0 && method[0] == '/' {
		method = method[1:]
	}
	return method[:min(len(method), maxMethod)]
}

func logLevel(s *Summary) slog.Level {
	switch {
	case s.Rejected:
		return slog.LevelWarn
	case s.ErrorType == "canceled":
		return slog.LevelInfo
	}
	switch s.Code {
	case codes.Internal, codes.Unknown, codes.DataLoss, codes.Unavailable, codes.DeadlineExceeded:
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}
