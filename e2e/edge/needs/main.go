// Needs sees to it that a cluster of real nodes, or with the argument docker the cluster
// of docker-compose.yaml, can be started on this computer: it says what is missing, and
// installs it with apt-get when it is told to, by INSTALL=yes or by an answer on the
// terminal.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/term"

	"heteroaccel.io/e2e/nodes"
)

func main() {
	packages := ofNodes
	if slices.Equal(os.Args[1:], []string{"docker"}) {
		packages = ofDocker
	}
	if err := run(os.Getenv("INSTALL"), packages); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(word string, packages func() []string) error {
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

// ofNodes are the packages of Debian's that are missing: for the nodes, to make their
// images, and to show them.
func ofNodes() []string {
	missing := nodes.Missing()
	if exec.Command("python3", "-m", "pip", "--version").Run() != nil {
		missing = append(missing, "python3-pip")
	}
	return append(missing, without("curl", "curl")...)
}

// ofDocker are those for an engine, and to talk to what runs in it.
func ofDocker() []string {
	return slices.Concat(without("dockerd", "docker.io"), without("iptables", "iptables"), without("nsenter", "util-linux"), without("curl", "curl"))
}

// without is the package of a program that is not there.
func without(program, pack string) []string {
	if _, err := exec.LookPath(program); err != nil {
		return []string{pack}
	}
	return nil
}

// agreed asks whoever sits at a terminal.
func agreed(missing []string) bool {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return false
	}
	fmt.Printf("The cluster needs Debian packages that are not installed: %s.\nInstall them with apt-get? [y/N] ", strings.Join(missing, " "))
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err == nil && strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y")
}
