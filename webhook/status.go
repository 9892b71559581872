package main

import (
	"context"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/webhook/learner"
)

// keepStatus writes the status of every profile that comes or changes. Every
// replica would write the same; only the one that leads does, and it catches
// up with the informer's resync.
func keepStatus(config *rest.Config, feeds *kube.Feeds, leads func() error, log zerolog.Logger) error {
	client, err := profile.NewClient(config)
	if err != nil {
		return err
	}
	write := func(obj any) {
		p, ok := obj.(*v1alpha1.InferenceProfile)
		if !ok || leads() != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := client.WriteStatus(ctx, p); err != nil {
			log.Warn().Err(err).Msg("the profile's status will be written at the next chance")
		}
	}
	_, err = feeds.Profiles().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    write,
		UpdateFunc: func(_, obj any) { write(obj) },
	})
	return err
}

// newLearner makes what keeps the service times in the profiles' status.
func newLearner(config *rest.Config, profiles *profile.Store, leads func() error, log zerolog.Logger) (*learner.Learner, error) {
	client, err := profile.NewClient(config)
	if err != nil {
		return nil, err
	}
	return learner.New(learner.Config{Profiles: profiles, Write: client.AddRuns, Leads: leads, Log: log}), nil
}
