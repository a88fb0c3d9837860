package series

// Request is the key of a request to a server, Call that of one that a client sends. Both have the label values that
// metrics of HTTP have in common.
type Request struct {
	Method    string
	Route     string
	Status    int // 0: none was sent
	ErrorType string
	Secure    bool
}

// Call is the key of a request that a client sends.
type Call struct {
	Method    string
	Host      Host
	Status    int // 0: no answer
	ErrorType string
}

// Host is where a client's request goes.
type Host struct{ Name, Port string }

// Other is the value of labels whose own would be one too many, as OpenTelemetry has it for methods.
const Other = "_OTHER"

// Seconds are the boundaries that OpenTelemetry advises for durations of requests.
func Seconds() []float64 {
	return []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
}

// Bytes are boundaries for the sizes of bodies: powers of ten, from 100 B to 100 MB.
func Bytes() []float64 { return []float64{100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8} }

// Methods are those that have a name of their own in metrics, and Other.
func Methods() []string {
	return []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "QUERY", Other}
}

// MethodIndex is the place of a method in Methods.
func MethodIndex(method string) int {
	switch method {
	case "GET", "": // for a client "" is GET
		return 0
	case "HEAD":
		return 1
	case "POST":
		return 2
	case "PUT":
		return 3
	case "PATCH":
		return 4
	case "DELETE":
		return 5
	case "CONNECT":
		return 6
	case "OPTIONS":
		return 7
	case "TRACE":
		return 8
	case "QUERY":
		return 9
	default:
		return 10
	}
}
