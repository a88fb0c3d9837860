package main

import (
	"github.com/mw-go/mw/core/lifecycle"
	"github.com/mw-go/mw/core/policy"
)

// Config is the shop's configuration file.
type Config struct {
	// Listen is the address that the shop serves gRPC on. Read at start.
	Listen string `default:"127.0.0.1:9090"`
	// ListenHTTP is the address that the shop serves HTTP on. Read at start.
	ListenHTTP string `default:"127.0.0.1:8081"`
	// Shutdown says how the shop leaves.
	Shutdown lifecycle.Config
	// Policies tunes the guards.
	Policies policy.Config
}
