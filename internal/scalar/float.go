package scalar

// Lanes is how many partial sums SumFloat32 keeps.
const Lanes = 32

// SumFloat32 returns the sum of x in the order that core/simd states: lane l takes x[l], x[l+32], x[l+64], ..., and
// Fold adds the lanes up.
func SumFloat32(x []float32) float32 {
	var lanes [Lanes]float32
	AddLanes(&lanes, x)
	return Fold(&lanes)
}

// rows is how many rows of lanes AddLanes takes at a time: 8 KB, which stay in the first-level cache while the four
// groups of lanes pass over them.
const rows = 64

// AddLanes adds each x[i] to lane i%32. Eight lanes at a time, since so many partial sums fit in registers.
func AddLanes(lanes *[Lanes]float32, x []float32) {
	for len(x) >= Lanes {
		block := x[:min(len(x)/Lanes, rows)*Lanes]
		for g := 0; g < Lanes; g += 8 {
			addEight((*[8]float32)(lanes[g:]), block[g:])
		}
		x = x[len(block):]
	}
	for i, v := range x {
		lanes[i] += v
	}
}

// addEight adds the first eight elements of every row of x, the last of which may be cut short after them.
func addEight(lanes *[8]float32, x []float32) {
	a, b, c, d := lanes[0], lanes[1], lanes[2], lanes[3]
	e, f, g, h := lanes[4], lanes[5], lanes[6], lanes[7]
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
		if len(x) <= Lanes {
			break
		}
		x = x[Lanes:]
	}
	*lanes = [8]float32{a, b, c, d, e, f, g, h}
}

// Fold adds the upper half of the lanes to the lower half until one is left. It uses up the lanes.
func Fold(lanes *[Lanes]float32) float32 {
	for n := Lanes / 2; n > 0; n /= 2 {
		for i := range n {
			lanes[i] += lanes[i+n]
		}
	}
	return lanes[0]
}
