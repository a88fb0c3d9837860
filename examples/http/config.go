package main

import (
	"github.com/mw-go/mw/core/lifecycle"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/httpmw"
)

// Config is the shop's configuration file.
type Config struct {
	// Listen is the address that the shop serves on. Read at start.
	Listen string `default:"127.0.0.1:8080"`
	// Admin is the address for operators: metrics, the status, and what the upstream does. Read at start.
	Admin string `default:"127.0.0.1:8081"`
	// Origins are the origins whose pages may use the shop from a browser; none if it is empty. Read at start.
	Origins []string
	// Lifecycle says how the shop leaves.
	Lifecycle lifecycle.Config
	// Transport tunes the connections to the upstream.
	Transport httpmw.TransportConfig
	// Policies tunes the guards and the rest of the stacks.
	Policies policy.Config
}
