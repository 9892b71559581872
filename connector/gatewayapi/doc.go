// Package gatewayapi is the client of the Gateway API's resources.
//
// The configuration of an API server enters; clients of HTTPRoutes and Gateways
// leave, and whether the API server knows them at all. It decides nothing of
// them.
package gatewayapi
