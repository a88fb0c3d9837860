package scalar

// lanes is how many partial sums SumFloat32 keeps.
const lanes = 32

// SumFloat32 returns the sum of x in the order that core/simd states: partial sum l takes x[l], x[l+32], x[l+64], ..., and
// fold adds them up.
func SumFloat32(x []float32) float32 {
	var sums [lanes]float32
	for len(x) >= lanes {
		block := x[:min(len(x)/lanes, rows)*lanes]
		for first := 0; first < lanes; first += 8 {
			addEight((*[8]float32)(sums[first:]), block[first:])
		}
		x = x[len(block):]
	}
	for i, v := range x {
		sums[i] += v
	}
	return fold(&sums)
}

// rows is how many rows of 32 are added at a time: 8 KB, which stay in the first-level cache while the four groups of
// eight partial sums, as many as fit in registers, pass over them.
const rows = 64

// addEight adds the first eight elements of every row of x. The last row may end behind them.
func addEight(sums *[8]float32, x []float32) {
	a, b, c, d := sums[0], sums[1], sums[2], sums[3]
	e, f, g, h := sums[4], sums[5], sums[6], sums[7]
	for {
		row := (*[8]float32)(x)
		a += row[0]
		b += row[1]
		c += row[2]
		d += row[3]
		e += row[4]
		f += row[5]
		g += row[6]
		h += row[7]
		if len(x) <= lanes {
			break
		}
		x = x[lanes:]
	}
	*sums = [8]float32{a, b, c, d, e, f, g, h}
}

// fold adds the upper half of the sums to the lower half until one is left.
func fold(sums *[lanes]float32) float32 {
	var s [8]float32
	for i := range s {
		s[i] = (sums[i] + sums[i+16]) + (sums[i+8] + sums[i+24])
	}
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}
