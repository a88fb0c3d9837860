package main
import "context"
func tell(ctx context.Context, o options) error { return nil }
