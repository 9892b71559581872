// Package podtest makes pods for the tests of readmission: pods as the API server
// shows them once admission has given them a GPU.
//
// A name and a reservation enter, a pod with a verified record leaves. It stands
// for no other program, and nothing that ships imports it.
package podtest
