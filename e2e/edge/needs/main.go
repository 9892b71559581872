// Needs sees to it that a cluster of real nodes can be started on this
// computer: it says what is missing, and installs it with apt-get when it is
// told to, by INSTALL=yes or by an answer on the terminal.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/term"

	"heteroaccel.io/e2e/nodes"
)

func main() {
	if err := run(os.Getenv("INSTALL")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(word string) error {
	if err := nodes.Privileged(); err != nil {
		return err
	}
	missing := packages()
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("missing: %s, as Debian names them. Install them and run this again", strings.Join(missing, ", "))
	}
	if word != "yes" && !agreed(missing) {
		return fmt.Errorf("missing: %s. Run this again with INSTALL=yes to have apt-get install them", strings.Join(missing, ", "))
	}
	for _, args := range [][]string{
		{"update", "-q"},
		append([]string{"install", "-y", "-q", "--no-install-recommends"}, missing...),
	} {
		cmd := exec.Command("apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w: see above what it said", args[0], err)
		}
	}
	if missing := packages(); len(missing) > 0 {
		return errors.New("still missing after their installation: " + strings.Join(missing, ", "))
	}
	return nil
}

// packages are those of Debian's that are missing: for the nodes, to make their
// images, and to show them.
func packages() []string {
	missing := nodes.Missing()
	if exec.Command("python3", "-m", "pip", "--version").Run() != nil {
		missing = append(missing, "python3-pip")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		missing = append(missing, "curl")
	}
	return missing
}

// agreed asks whoever sits at a terminal.
func agreed(missing []string) bool {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return false
	}
	fmt.Printf("A cluster of real nodes needs Debian packages that are not installed: %s.\nInstall them with apt-get? [y/N] ", strings.Join(missing, " "))
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err == nil && strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y")
}
