package simd

// Level names what runs where there is a kernel: "avx512", "avx2", or "go" for the plain form. It does not change while the program runs.
func Level() string { return level() }
