package schema_test

import (
	"fmt"
	"time"

	"github.com/mw-go/mw/core/schema"
)

// Config shows the tags of a machine's configuration.
type Config struct {
	// Limit is how many calls a second are admitted. Required. Range 1..1e6.
	Limit int `required:"true" range:"1..1000000"`
	// MinWait and MaxWait bound the pause. Default 10ms and 1s. Range 1ms..1m.
	MinWait time.Duration `default:"10ms" range:"1ms..1m"`
	MaxWait time.Duration `default:"1s" range:"1ms..1m"`
}

// Validate adds the one rule that no tag can state.
func (c Config) Validate() error {
	var fault error
	if e := schema.Fill(c); e.MinWait > e.MaxWait {
		fault = schema.Fault("max_wait", e.MaxWait, "at least min_wait ("+e.MinWait.String()+")")
	}
	return schema.Validate(c, fault)
}

func Example() {
	fmt.Println(Config{Limit: 100}.Validate())
	fmt.Println(schema.Fill(Config{Limit: 100}))
	fmt.Println(Config{MinWait: 2 * time.Second}.Validate())
	fmt.Println(Config{Limit: -1, MaxWait: time.Hour}.Validate())
	// Output:
	// <nil>
	// {100 10ms 1s}
	// limit: required; write e.g. limit: 100 (allowed: 1..1000000)
	// max_wait: 1s is not allowed; allowed: at least min_wait (2s)
	// limit: -1 is not allowed; allowed: 1..1000000
	// max_wait: 1h is not allowed; allowed: 1ms..1m
}
