package main

import (
	"time"

	"github.com/mw-go/mw/core/policy"
)

// Config is the shop's configuration file.
type Config struct {
	// Listen is the address that the shop serves on. Read at start.
	Listen string `default:"127.0.0.1:8080"`
	// PaymentsTimeout bounds one call to the payment provider. Read at every call. Range 1ms to 1m.
	PaymentsTimeout time.Duration `default:"250ms" range:"1ms..1m"`
	// Policies tunes the guards.
	Policies policy.Config
}
