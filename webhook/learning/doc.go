// Package learning measures how long each inference runs on each kind.
//
// Pods that finished enter. The Learner learns from those that ran what the webhook
// gave them, and writes their service times, by namespace, to the status of their
// profile, in few writes. Before that, candidates enter, and
// Trials tell the policy which pod may be spent on a kind that was not timed for
// long.
//
// It chooses nothing: the policy decides on a trial, and decisions read the
// learned times from the profiles, in every replica and after every restart.
//
//	Finished ──▶ runs not yet written, by profile ──▶ Run: every 2 s, the oldest
//	   (only while leading)        ▲                     │ 10 profiles, one write each
//	                               └── write conflicted ─┘
package learning
