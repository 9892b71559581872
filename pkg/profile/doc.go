// Package profile has the InferenceProfiles: what the paper calls the HA Inference
// Registry. Resources of the API server enter, and its typed client is here too.
// Profiles prepared for decisions leave, looked up by name in a Store.
// It chooses nothing, and writes only the status of a profile.
package profile
