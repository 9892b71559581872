package main

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string // of what is said; "" for nothing
	}{
		"nothing said":     {nil, ""},
		"no loads":         {[]string{"-loads", ""}, ""},
		"several":          {[]string{"-policies", "idle-first, priced-finish", "-loads", "0.5,.9"}, ""},
		"by the connector": {[]string{"-connector"}, ""},
		"deadlines":        {[]string{"-deadlines", "7s, 1m30s"}, ""},
		"deadline of none": {[]string{"-deadlines", "0s"}, `"0s" is not a duration above zero`},
		"deadline, a word": {[]string{"-deadlines", "soon"}, `"soon"`},
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
