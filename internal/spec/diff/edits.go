package diff

import "slices"

// maxEdits bounds the search for the shortest edit script: texts that differ
// in more lines are given as all of the old and all of the new. It keeps the
// memory of one search near maxEdits² numbers.
const maxEdits = 1_000

// edits gives a shortest edit script from a to b (Myers, "An O(ND) Difference
// Algorithm and Its Variations", 1986), what goes before what comes.
func edits(a, b []string) []line {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}

	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}

	script := make([]line, 0, len(a)+len(b))
	for _, text := range a[:head] {
		script = append(script, line{' ', text})
	}

	script = append(script, between(a[head:len(a)-tail], b[head:len(b)-tail])...)

	for _, text := range a[len(a)-tail:] {
		script = append(script, line{' ', text})
	}

	return script
}

func between(a, b []string) []line {
	trace := search(a, b)
	if trace == nil {
		return whole(a, b)
	}

	// Back from the end through the furthest points of every round.
	var script []line

	x, y := len(a), len(b)

	for d := len(trace) - 1; d > 0; d-- {
		furthest := trace[d-1]
		k := x - y
		from := k - 1

		if down(furthest, k, d) {
			from = k + 1
		}

		startX := furthest[from+maxOffset(d-1)]
		startY := startX - from

		for x > startX && y > startY && x > 0 && y > 0 && a[x-1] == b[y-1] {
			x--
			y--
			script = append(script, line{' ', a[x]})
		}

		if x == startX {
			y--
			script = append(script, line{'+', b[y]})
		} else {
			x--
			script = append(script, line{'-', a[x]})
		}
	}

	for x > 0 {
		x--
		script = append(script, line{' ', a[x]})
	}

	slices.Reverse(script)

	return script
}

func whole(a, b []string) []line {
	script := make([]line, 0, len(a)+len(b))
	for _, text := range a {
		script = append(script, line{'-', text})
	}

	for _, text := range b {
		script = append(script, line{'+', text})
	}

	return script
}

// maxOffset is where diagonal 0 stands among the points of round d.
func maxOffset(d int) int { return d + 1 }

// down reports whether round d reaches diagonal k by a line of b.
func down(furthest []int, k, d int) bool {
	offset := maxOffset(d - 1)

	return k == -d || k != d && furthest[k-1+offset] < furthest[k+1+offset]
}

// search gives the furthest points of every round, by diagonal; nil when the
// script would be longer than maxEdits.
func search(a, b []string) [][]int {
	var trace [][]int

	for d := 0; d <= min(maxEdits, len(a)+len(b)); d++ {
		points := make([]int, 2*maxOffset(d)+1)
		for i := range points {
			points[i] = -1
		}

		trace = append(trace, points)

		for k := -d; k <= d; k += 2 {
			x := 0

			if d > 0 {
				furthest, offset := trace[d-1], maxOffset(d-1)

				if down(furthest, k, d) {
					x = furthest[k+1+offset]
				} else {
					x = furthest[k-1+offset] + 1
				}
			}

			y := x - k
			for x < len(a) && y < len(b) && a[x] == b[y] {
				x++
				y++
			}

			points[k+maxOffset(d)] = x

			if x >= len(a) && y >= len(b) {
				return trace
			}
		}
	}

	return nil
}
