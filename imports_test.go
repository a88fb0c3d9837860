package mw_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mw-go/mw"

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

// list runs go list on the library's packages and what they stand on.
func list(t *testing.T) map[string]pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Deps,Standard", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	pkgs := map[string]pkg{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs[p.ImportPath] = p
	}
}

// layers are the storeys of the house, the ground floor first. A package may import those below its own and, where
// siblings is set, its own.
var layers = []struct {
	name     string
	members  []string // paths below the module; a trailing /... takes in everything below
	siblings bool
}{
	{"root", []string{""}, false},
	{"twins", []string{"internal/scalar"}, false},
	{"kernels", []string{"core/simd", "core/schema", "internal/..."}, false},
	{"vocabulary", []string{"core"}, false},
	{"parts", []string{"core/internal/...", "core/latency", "core/budget"}, true},
	{"machines", []string{
		"core/breaker", "core/ratelimit", "core/bulkhead", "core/adaptive", "core/retry", "core/hedge", "core/timeout",
		"core/fallback", "core/cache", "core/pool", "core/batch", "core/throttle", "core/lifecycle",
	}, false},
	{"on machines", []string{"core/policy", "core/observe", "core/observe/...", "core/redisstore", "secure/..."}, true},
	{"parts of adapters", []string{"httpmw/internal/..."}, true},
	{"adapters", []string{"hotconfig", "httpmw", "grpcmw"}, false},
	{"on adapters", []string{"httpmw/...", "grpcmw/..."}, false},
	{"wire", []string{"examples/grpc/shop"}, false},
	{"examples", []string{"examples/..."}, false},
}

// storey returns the layer of a package of the module, or -1. The most specific member decides.
func storey(path string) (layer int) {
	rel := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
	layer, best := -1, -1
	for i, l := range layers {
		for _, m := range l.members {
			prefix, tree := strings.CutSuffix(m, "/...")
			if rel == m || tree && strings.HasPrefix(rel, prefix+"/") {
				if len(m) > best {
					layer, best = i, len(m)
				}
			}
		}
	}
	return layer
}

func ours(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// TestImportsGoDownwards holds the picture of ARCHITECTURE.md.
func TestImportsGoDownwards(t *testing.T) {
	for path, p := range list(t) {
		if !ours(path) {
			continue
		}
		from := storey(path)
		if from < 0 {
			t.Errorf("%s stands on no storey: put it into layers", path)
			continue
		}
		for _, imported := range p.Imports {
			if !ours(imported) {
				continue
			}
			to := storey(imported)
			if to > from || to == from && !layers[from].siblings {
				t.Errorf("%s (%s) imports %s (%s)", path, layers[from].name, imported, layers[to].name)
			}
		}
	}
}

// bans say what a part of the house must not stand on, directly or through others.
var bans = []struct {
	of     []string // packages: exact, or a tree with /...
	banned []string // the same
}{
	{[]string{module}, []string{"..."}},
	{[]string{module + "/core", module + "/core/..."}, []string{
		"net/http", "log/slog", "encoding/...", "google.golang.org/grpc/...", "github.com/prometheus/...", "go.opentelemetry.io/...",
	}},
	{[]string{module + "/httpmw", module + "/hotconfig"}, []string{"google.golang.org/grpc/..."}},
}

// allowedInCore are the packages under core that may stand on what the rest of core may not.
var allowedInCore = []string{
	module + "/core/observe/prom", module + "/core/observe/otelmetric", module + "/core/redisstore",
}

func matches(path, pattern string) bool {
	if prefix, tree := strings.CutSuffix(pattern, "..."); tree {
		return strings.HasPrefix(path, prefix) || path == strings.TrimSuffix(prefix, "/")
	}
	return path == pattern
}

func TestImportsBanned(t *testing.T) {
	for path, p := range list(t) {
		for _, ban := range bans {
			if !slices.ContainsFunc(ban.of, func(of string) bool { return matches(path, of) }) || slices.Contains(allowedInCore, path) {
				continue
			}
			for _, dep := range p.Deps {
				if slices.ContainsFunc(ban.banned, func(b string) bool { return matches(dep, b) }) {
					t.Errorf("%s stands on %s", path, dep)
				}
			}
		}
	}
}

// grpcModules are gRPC and what it stands on.
var grpcModules = []string{
	"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/rpc",
	"golang.org/x/net", "golang.org/x/sys/unix", "golang.org/x/text",
}

// thirdParty is the closed list of modules outside the standard library that each part may link; everything else in
// the module links none.
var thirdParty = map[string][]string{
	module + "/grpcmw/protovalidate": append([]string{
		"buf.build/go/protovalidate", "buf.build/gen/go/bufbuild/protovalidate", "cel.dev", "github.com/antlr4-go/antlr/v4",
		"golang.org/x/exp", "go.yaml.in/yaml/v3", "google.golang.org/genproto/googleapis/api",
	}, grpcModules...),
	module + "/httpmw/cors":     {"github.com/jub0bs/cors", "golang.org/x/net", "golang.org/x/text"},
	module + "/httpmw/compress": {"github.com/klauspost/compress"},
	module + "/hotconfig":       {"go.yaml.in/yaml/v4", "github.com/fsnotify/fsnotify", "golang.org/x/sys/unix"},
	module + "/grpcmw":          grpcModules,

	module + "/core/observe/prom":       prometheusModules,
	module + "/core/observe/otelmetric": otelModules,
	module + "/httpmw/metrics":          prometheusModules,
	module + "/httpmw/otelmetrics":      otelModules,
	module + "/httpmw/trace":            traceModules,

	// The full stack on both sides, and a page of metrics.
	module + "/examples/http": slices.Concat([]string{
		"go.yaml.in/yaml/v4", "github.com/fsnotify/fsnotify",
		"github.com/jub0bs/cors", "golang.org/x/net", "golang.org/x/text", "github.com/klauspost/compress",
	}, prometheusModules, traceModules),
	module + "/grpcmw/metrics":     slices.Concat(grpcModules, prometheusModules),
	module + "/grpcmw/otelmetrics": slices.Concat(grpcModules, otelModules),
	module + "/grpcmw/trace": slices.Concat(grpcModules, otelModules, []string{
		"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc", "go.opentelemetry.io/auto/sdk",
		"github.com/go-logr",
	}),
	module + "/examples/grpc":      append([]string{"go.yaml.in/yaml/v4", "github.com/fsnotify/fsnotify"}, grpcModules...),
	module + "/examples/grpc/shop": grpcModules,
}

// prometheusModules are what github.com/prometheus/client_golang/prometheus links.
var prometheusModules = []string{
	"github.com/prometheus/client_golang", "github.com/prometheus/client_model", "github.com/prometheus/common",
	"github.com/prometheus/procfs", "github.com/beorn7/perks", "github.com/cespare/xxhash/v2", "go.yaml.in/yaml/v2",
	"google.golang.org/protobuf", "golang.org/x/sys/unix", "github.com/munnerz/goautoneg",
}

// otelModules are what go.opentelemetry.io/otel/metric links.
var otelModules = []string{"go.opentelemetry.io/otel", "github.com/cespare/xxhash/v2"}

// traceModules are what otelhttp links.
var traceModules = append([]string{
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "go.opentelemetry.io/auto/sdk",
	"github.com/felixge/httpsnoop", "github.com/go-logr",
}, otelModules...)

// features is what core/simd asks what the processor can do; whoever stands on core/simd links it too.
const features = "golang.org/x/sys/cpu"

func TestImportsThirdParty(t *testing.T) {
	pkgs := list(t)
	for path, p := range pkgs {
		if !ours(path) {
			continue
		}
		for _, dep := range p.Deps {
			if ours(dep) || pkgs[dep].Standard {
				continue
			}
			if dep == features && (path == module+"/core/simd" || slices.Contains(p.Deps, module+"/core/simd")) {
				continue
			}
			if !slices.ContainsFunc(thirdParty[path], func(m string) bool { return dep == m || strings.HasPrefix(dep, m+"/") }) {
				t.Errorf("%s links %s", path, dep)
			}
		}
	}
}
