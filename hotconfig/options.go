package hotconfig

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"time"

	"github.com/mw-go/mw/core/schema"
)

// Options say where a configuration comes from and how it is watched.
type Options struct {
	// Dir is the directory of the layer files. Required.
	Dir string
	// Prefix begins the name of every environment variable that is ours, without the underscore after it. Letters, digits
	// and single underscores. Default APP.
	Prefix string
	// Environ is the environment in the form of os.Environ. nil means os.Environ(), taken once, in Load.
	Environ []string
	// AllowMissingEnvFile makes the file named by APP_ENV optional.
	AllowMissingEnvFile bool
	// Logger receives one record per reload and one per unknown variable. nil means slog.Default().
	Logger *slog.Logger
	// OnEvent, if not nil, is called after every load and reload, in order, one at a time, outside all locks. It must
	// not block for long: reloads and listeners wait for it.
	OnEvent func(Event)

	// Debounce is how long the files must be quiet before a change is read. Default 100ms.
	Debounce time.Duration
	// MaxDebounce is when a change is read although the files are not quiet. Default 1s, at least Debounce.
	MaxDebounce time.Duration
	// Poll is the time between two looks at the files without any signal, as a safety net where signals get lost; each
	// pause is up to a tenth longer or shorter. Default 30s.
	Poll time.Duration
}

// fill returns o with defaults, or an error that names the option.
func (o Options) fill() (Options, error) {
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("hotconfig: Options.Dir is required: the directory of default.yaml"))
	}
	if o.Prefix == "" {
		o.Prefix = "APP"
	}
	if !validPrefix.MatchString(o.Prefix) {
		errs = append(errs, fmt.Errorf("hotconfig: Options.Prefix %q: letters, digits and single underscores", o.Prefix))
	}
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"Debounce", &o.Debounce, 100 * time.Millisecond},
		{"MaxDebounce", &o.MaxDebounce, max(time.Second, o.Debounce)},
		{"Poll", &o.Poll, 30 * time.Second},
	} {
		if *d.value < 0 {
			errs = append(errs, fmt.Errorf("hotconfig: Options.%s %v: must not be negative", d.name, *d.value))
		}
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	if o.MaxDebounce < o.Debounce {
		errs = append(errs, fmt.Errorf("hotconfig: Options.MaxDebounce %v is below Debounce %v", o.MaxDebounce, o.Debounce))
	}
	return o, errors.Join(errs...)
}

// newSource checks the options and the type of the configuration, and takes the part of the environment that is ours.
// Mistakes of the program come first and alone; what is wrong with the environment is kept in the source for Load to
// report together with the files.
func newSource(o Options, t reflect.Type) (*source, error) {
	o, err := o.fill()
	if err != nil {
		return nil, err
	}
	if _, err := schema.Describe(t); err != nil {
		return nil, err
	}
	s := shapes{}
	if err := collisions(t, s, o.Prefix, true); err != nil {
		return nil, err
	}
	src := &source{options: o, typ: t}
	src.env = readEnviron(o.Prefix, o.Environ, t, s, &src.fixed)
	src.layers = []layer{{name: "default.yaml", required: true}}
	if src.env.name != "" {
		src.layers = append(src.layers, layer{name: src.env.name + ".yaml", required: !o.AllowMissingEnvFile})
	}
	return src, nil
}
