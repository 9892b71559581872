// Package compose is Docker Compose and a container engine, for the tests of
// docker-compose.yaml.
//
// The repository enters; Compose, compiled once into the user's cache, leaves, and an
// engine: the one that runs on this computer, or else one of its own, whose networks,
// mounts and files go with it. It pulls no image.
package compose
