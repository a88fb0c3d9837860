package core

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimeArithmeticSaturates(t *testing.T) {
	const most, least = math.MaxInt64, math.MinInt64
	for _, tt := range []struct {
		t    Time
		d    time.Duration
		want Time
	}{
		{0, 0, 0}, {5, -7, -2}, {most, 1, most}, {most - 1, 1, most}, {most - 1, 2, most}, {1, most, most}, {most, most, most},
		{least, -1, least}, {least + 1, -2, least}, {-1, least, least}, {least, least, least}, {least, most, -1}, {most, least, -1},
	} {
		if got := tt.t.Add(tt.d); got != tt.want {
			t.Errorf("%d.Add(%d) is %d, want %d", tt.t, tt.d, got, tt.want)
		}
	}
	for _, tt := range []struct {
		t, u Time
		want time.Duration
	}{
		{0, 0, 0}, {5, 7, -2}, {most, 0, most}, {most, -1, most}, {most, least, most}, {0, least, most}, {0, least + 1, most},
		{least, 0, least}, {least, 1, least}, {least, most, least}, {-1, most, least}, {-2, most, least}, {least, least, 0}, {most, most, 0},
	} {
		if got := tt.t.Sub(tt.u); got != tt.want {
			t.Errorf("%d.Sub(%d) is %d, want %d", tt.t, tt.u, got, tt.want)
		}
	}
}

func TestOrReadsTheClockForZero(t *testing.T) {
	if Time(7).Or() != 7 || Time(-7).Or() != -7 {
		t.Error("a time that is set is changed")
	}
	before := Now()
	if got := Time(0).Or(); got < before || got > Now() {
		t.Errorf("%d is not now", got)
	}
}

// Inside a bubble the clock is the bubble's, and may lie far below zero.
func TestNowFollowsABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := Now()
		time.Sleep(1000 * time.Hour)
		if got := Now().Sub(before); got != 1000*time.Hour {
			t.Errorf("%v passed, want 1000h", got)
		}
	})
}
