// Package profile knows the InferenceProfiles: what the paper calls the HA
// Inference Registry. Resources of the API server enter, by way of its typed
// client and informer, and ready-made Profiles leave, looked up by name in a
// Store. It chooses nothing, and writes nothing but the status of a profile.
package profile
