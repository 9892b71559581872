package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// TestExperiment runs all of it on real clusters, so short that its numbers
// mean nothing.
func TestExperiment(t *testing.T) {
	var said bytes.Buffer
	s, err := parse([]string{"-stretch", "3", "-interval", "6s", "-loads", "0.5"}, &said)
	if err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	if err := repeat(t.Context(), s, &said); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	for _, want := range []string{
		`A: GPU +[1-9]\d* +[1-9]\d* +0 +0 +0 +6s +[0-9.]+ +- `, // everything on the GPU
		`B: \S+ +[1-9]\d* +[1-9]\d* .* 6s +[0-9.]+ +[+-][0-9.]+ %`,
		`B: \S+ +all +[1-9]\d*( +[0-9.]+s){5}`,
		`50 % +[1-9]\d* +0 `, // nobody is left unserved
	} {
		if !regexp.MustCompile(want).MatchString(said.String()) {
			t.Errorf("it printed nothing like %s", want)
		}
	}
	if t.Failed() {
		t.Log(said.String())
	}
}

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string // of what is said; "" for nothing
	}{
		"nothing said":     {nil, ""},
		"no loads":         {[]string{"-loads", ""}, ""},
		"several":          {[]string{"-policies", "idle-first, priced-finish", "-loads", "0.5,.9"}, ""},
		"unknown policy":   {[]string{"-policies", "best"}, `there is no policy "best"`},
		"load of 1":        {[]string{"-loads", "1"}, "between 0 and 1"},
		"load is a word":   {[]string{"-loads", "much"}, `"much"`},
		"load is no load":  {[]string{"-loads", "NaN"}, "between 0 and 1"},
		"no stretch":       {[]string{"-stretch", "0"}, "must be positive"},
		"absurd stretch":   {[]string{"-stretch", "NaN"}, "must be positive"},
		"interval":         {[]string{"-interval", "-1s"}, "must be positive"},
		"interval, a word": {[]string{"-interval", "long"}, "invalid value"},
		"more":             {[]string{"please"}, "nothing else"},
	} {
		t.Run(name, func(t *testing.T) {
			var said strings.Builder
			_, err := parse(tt.args, &said)
			if (err != nil) != (tt.want != "") || !strings.Contains(said.String(), tt.want) {
				t.Errorf("error %v, said %q, want %q in it", err, said.String(), tt.want)
			}
		})
	}
}
