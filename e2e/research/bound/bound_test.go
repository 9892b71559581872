package bound

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize/convex/lp"
)

func TestSolve(t *testing.T) {
	tests := map[string]struct {
		p    Problem
		want float64
	}{
		"one kind":                  {Problem{[]float64{3}, []float64{1}, [][]float64{{2}}}, 1.5},
		"two kinds, one type":       {Problem{[]float64{1, 1}, []float64{1}, [][]float64{{1, 4}}}, 1.25},
		"each at home":              {Problem{[]float64{1, 1}, []float64{.5, .5}, [][]float64{{1, 9}, {9, 1}}}, 2},
		"no variant":                {Problem{[]float64{1, 1}, []float64{.5, .5}, [][]float64{{1, 0}, {1, 0}}}, 1},
		"the paper's":               {Problem{[]float64{1, 1, 1}, []float64{1}, [][]float64{{1 / 13.2, 1 / 6.86, 1 / 1.89}}}, 21.95},
		"comparative, not absolute": {Problem{[]float64{1, 1}, []float64{.5, .5}, [][]float64{{1, 1.2}, {1, 10}}}, 11.0 / 6}, // the second kind takes 1/1.2 of the first type, the first kind the rest: rate − 1/1.2 = 1
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.p.Solve()
			if err != nil || math.Abs(got.Rate-tt.want) > 1e-6 {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
	if _, err := (Problem{[]float64{1}, []float64{1}, [][]float64{{0}}}).Solve(); err == nil {
		t.Error("a type that can run nowhere: no error")
	}
}

// TestSolveLikeTheWhole holds the decomposition against the simplex method on
// the whole programme.
func TestSolveLikeTheWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 60 {
		p := random(r, 1+r.IntN(12), 1+r.IntN(5))
		got, err := p.Solve()
		if err != nil {
			t.Fatal(err)
		}
		want, err := whole(p)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(got.Rate/want-1) > 1e-6 {
			t.Errorf("%+v: got %v, want %v", p, got.Rate, want)
		}
	}
}

func TestSolveMany(t *testing.T) {
	got, err := random(rand.New(rand.NewPCG(1, 1)), 5000, 8).Solve()
	if err != nil || got.Gap > enough {
		t.Errorf("gap %v, %v", got.Gap, err)
	}
}

func random(r *rand.Rand, types, kinds int) Problem {
	p := Problem{}
	for range kinds {
		p.Slots = append(p.Slots, 1+float64(r.IntN(50)))
	}
	for range types {
		hold := make([]float64, kinds)
		for j := range hold {
			if j == 0 || r.Float64() < .8 {
				hold[j] = math.Exp(r.NormFloat64())
			}
		}
		p.Share, p.Hold = append(p.Share, r.Float64()+.01), append(p.Hold, hold)
	}
	return p
}

// whole solves the programme as it stands: the variables are the rate, a flow
// for every type and kind, and what is unused of each kind.
func whole(p Problem) (float64, error) {
	types, kinds := len(p.Share), len(p.Slots)
	var flows [][2]int
	for i := range types {
		for j, h := range p.Hold[i] {
			if h > 0 {
				flows = append(flows, [2]int{i, j})
			}
		}
	}
	a := mat.NewDense(types+kinds, 1+len(flows)+kinds, nil)
	b, c := make([]float64, types+kinds), make([]float64, 1+len(flows)+kinds)
	c[0] = -1
	for i := range types {
		a.Set(i, 0, -p.Share[i])
	}
	for k, f := range flows {
		a.Set(f[0], 1+k, 1)
		a.Set(types+f[1], 1+k, p.Hold[f[0]][f[1]])
	}
	for j := range kinds {
		a.Set(types+j, 1+len(flows)+j, 1)
		b[types+j] = p.Slots[j]
	}
	best, _, err := lp.Simplex(c, a, b, 1e-10, nil)
	return -best, err
}
