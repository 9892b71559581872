package main

import (
	"fmt"
	"os"
	"strings"
)

// tokenOf returns where the nth camera reads its token, nil without a file.
func tokenOf(path string, n int) func() (string, error) {
	if path == "" {
		return nil
	}
	return func() (string, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		var tokens []string
		for line := range strings.Lines(string(text)) {
			token, _, _ := strings.Cut(line, ",")
			if token = strings.TrimSpace(token); token != "" {
				tokens = append(tokens, token)
			}
		}
		if len(tokens) == 0 {
			return "", fmt.Errorf("--token-file %s has no token: write one into its first line", path)
		}
		return tokens[n%len(tokens)], nil
	}
}
