package server

import (
	"cmp"
	"time"

	"heteroaccel.io/connector/controller"
	"heteroaccel.io/connector/session"
)

// Session is a session as its client reads it.
type Session struct {
	ID          string `json:"id" doc:"Names the session in every further request." example:"kq3v6hw2c5d7x4m2a5y3n6b7ue"`
	State       string `json:"state" enum:"waiting,serving" doc:"waiting in the queue, or serving: there is an address."`
	Inference   string `json:"inference" example:"face-recognition" doc:"What is inferred: the name of an InferenceProfile."`
	Accelerator string `json:"accelerator" example:"any" doc:"The kinds of accelerator that are allowed."`

	Address  string `json:"address,omitempty" example:"10.244.1.7:8080" doc:"HOST:PORT of the inference server; behind a Gateway HOST:PORT/PATH, without a slash at the end."`
	Protocol string `json:"protocol,omitempty" enum:"http,https" example:"http" doc:"What is spoken at the address."`
	URL      string `json:"url,omitempty" example:"http://10.244.1.7:8080" doc:"Protocol and address together: append /v2/models/NAME/infer to it."`
	Node     string `json:"node,omitempty" example:"edge-1" doc:"The node that the server runs on."`
	Kind     string `json:"kind,omitempty" example:"GPU" doc:"The kind of accelerator that it runs on."`
	// Device is null until telemetry shows it.
	Device *string `json:"device" example:"0000:00:02.0" doc:"The id of the device on its node; null until the node's telemetry shows it."`
	Pod    string  `json:"pod,omitempty" doc:"The pod that serves it."`
	Reason string  `json:"reason,omitempty" example:"GPU is free (1 of 1), a run takes 76ms" doc:"Why it runs there, or why it waits."`

	Position     int      `json:"position,omitempty" minimum:"1" doc:"Place in the queue, 1 for the first."`
	Waiting      int      `json:"waiting,omitempty" minimum:"1" doc:"How many wait in that queue."`
	ExpectedWait *float64 `json:"expectedWait,omitempty" minimum:"0" doc:"How long it will wait, in seconds, if sessions go on lasting as long as they did; left out while nobody knows."`

	Priority int32             `json:"priority,omitempty" doc:"Who has a higher one is ahead in the queue."`
	Labels   map[string]string `json:"labels,omitempty" doc:"The client's own."`
	Near     string            `json:"near,omitempty" doc:"node, where a server on the client's node was preferred."`
	TTL      string            `json:"ttl" example:"1m0s" doc:"How long the session lives without being renewed."`
	Created  time.Time         `json:"created" doc:"When it was asked for."`
	Expires  time.Time         `json:"expires" doc:"When it ends unless it is renewed."`
	Moves    int               `json:"moves" minimum:"0" doc:"How often it got another server because the one it had went away."`
}

// States of a session.
const (
	stateWaiting = "waiting"
	stateServing = "serving"
)

// sessionOf is a view for its client.
func sessionOf(v controller.View) Session {
	s := Session{
		ID: v.Session.ID, State: stateWaiting,
		Inference: v.Session.Pool.Inference, Accelerator: v.Session.Pool.Accelerator,
		Position: v.Position, Waiting: v.Waiting,
		Reason:   cmp.Or(v.Failure, v.Coming),
		Priority: v.Session.Priority, Labels: v.Session.Labels,
		TTL: v.Session.TTL.String(), Created: v.Session.Created, Expires: v.Session.Expires(), Moves: v.Session.Moves,
	}
	if v.Session.Pool.Node != "" {
		s.Near = nearNode
	}
	if v.ExpectedWait > 0 {
		s.ExpectedWait = new(v.ExpectedWait.Seconds())
	}
	if v.Server.Phase == session.Ready && v.Server.Address != "" {
		s.State, s.Position, s.Waiting = stateServing, 0, 0
		s.Address, s.Protocol, s.URL = v.Server.Address, v.Server.Protocol, v.Server.Protocol+"://"+v.Server.Address
		s.Node, s.Kind, s.Pod, s.Reason = v.Server.Node, v.Server.Kind, v.Server.Name, v.Server.Reason
		if v.Server.Device != "" {
			s.Device = &v.Server.Device
		}
	}
	return s
}
