package deviceflag

import (
	"slices"
	"testing"
)

func TestScriptIndex(t *testing.T) {
	cases := map[string]struct {
		command, args []string
		want          int
	}{
		"bash -c":            {[]string{"bash", "-c", "x"}, nil, 2},
		"across":             {[]string{"/bin/sh"}, []string{"-c", "x", "y"}, 2},
		"clustered":          {[]string{"bash", "-lec"}, []string{"x"}, 2},
		"options before":     {[]string{"bash", "--norc", "-euo", "pipefail", "-c", "x"}, nil, 5},
		"behind a wrapper":   {[]string{"/tini", "--", "/bin/bash", "-c", "x"}, nil, 4},
		"entrypoint":         {nil, []string{"-c", "a b"}, 1},
		"not the entrypoint": {nil, []string{"-c", "kernels.xml"}, -1},
		"script file":        {[]string{"bash", "run.sh", "-c", "x"}, nil, -1},
		"no script":          {[]string{"bash", "-c"}, nil, -1},
		"no shell":           {[]string{"./app", "-c", "x"}, nil, -1},
		"shell to a shell":   {[]string{"sh", "bash", "-c", "x"}, nil, 3},

		"options behind":                {[]string{"bash", "-c", "-e", "x"}, nil, 3},
		"an option with a value behind": {[]string{"bash", "-c", "-o", "pipefail", "x"}, nil, 4},
		"clustered with a value":        {[]string{"bash", "-ceuo", "pipefail", "x"}, nil, 3},
		"end of options":                {[]string{"sh", "-c", "--", "x"}, nil, 3},
		"end of options, a dash":        {[]string{"sh", "-c", "-", "x"}, nil, 3},
		"end of options, no -c":         {[]string{"sh", "--", "-c", "x"}, nil, -1},
		"end of options, no script":     {[]string{"sh", "-c", "--"}, nil, -1},
		"login shell":                   {[]string{"bash", "-l", "-c", "x"}, nil, 3},
		"login shell, in one word":      {[]string{"/bin/bash", "-lc", "x"}, nil, 2},
		"login shell, long":             {[]string{"bash", "--login", "-c", "x"}, nil, 3},
		"options, then a plus":          {[]string{"bash", "+e", "-O", "extglob", "-c", "x"}, nil, 5},
		"a file of settings":            {[]string{"bash", "--rcfile", "/etc/rc", "-ic", "x"}, nil, 4},
		"strict":                        {[]string{"sh", "-euc"}, []string{"x"}, 2},
		"env with a variable":           {[]string{"env", "X=Y", "bash", "-c", "x"}, nil, 4},
		"env with options":              {[]string{"/usr/bin/env", "-i", "-u", "A", "X=Y", "bash", "-c", "x"}, nil, 7},
		"env -S, the shell":             {[]string{"/usr/bin/env", "-S", "bash -euo pipefail -c", "x"}, nil, 3},
		"env -S, the script too":        {[]string{"env", "-S", "bash -c 'x y'"}, nil, 2},
		"env -S, in one word":           {[]string{"env", "-Sbash -c", "x"}, nil, 2},
		"env -vS":                       {[]string{"env", "-vS", "X=Y bash -c", "x"}, nil, 3},
		"env --split-string":            {[]string{"env", "--split-string=sh -c", "x"}, nil, 2},
		"env -S of a program":           {[]string{"env", "-S", "./app -x"}, []string{"-c", "x"}, -1},
		"exec":                          {[]string{"exec", "bash", "-c", "x"}, nil, 3},
		"nice":                          {[]string{"nice", "-n", "5", "sh", "-c", "x"}, nil, 5},
		"dumb-init":                     {[]string{"dumb-init", "-v", "--", "sh", "-c", "x"}, nil, 5},
		"tini, across":                  {[]string{"/usr/bin/tini", "-g", "--"}, []string{"bash", "-c", "x"}, 5},
		"busybox":                       {[]string{"busybox", "sh", "-c", "x"}, nil, 3},
		"su":                            {[]string{"su", "app", "-c", "x"}, nil, 3},
		"su with a shell":               {[]string{"su", "-s", "/bin/bash", "-l", "app", "-c", "x"}, nil, 6},
		"su, long":                      {[]string{"su", "app", "--command=x"}, nil, 2},
		"flock":                         {[]string{"flock", "-n", "/lock", "-c", "x"}, nil, 4},
		"an interpreter":                {[]string{"python3", "-c", "x"}, nil, 2},
		"an interpreter with options":   {[]string{"/usr/bin/python3.12", "-u", "-c", "x"}, nil, 3},
		"an interpreter's file":         {[]string{"python3", "infer.py", "-c", "x"}, nil, -1},
		"an interpreter's module":       {[]string{"python3", "-m", "infer", "-c", "x"}, nil, -1},
		"entrypoint, login":             {nil, []string{"-lc", "a b"}, 1},
		"entrypoint, options":           {nil, []string{"-euo", "pipefail", "-c", "--", "a b"}, 4},
		"entrypoint, no script":         {nil, []string{"-i", "in.mp4", "-c", "a b"}, -1},
		"behind a thousand words":       {slices.Repeat([]string{"x"}, 5000), []string{"sh", "-c", "x"}, -1},
		"nothing":                       {nil, nil, -1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := scriptIndex(c.command, c.args); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}
