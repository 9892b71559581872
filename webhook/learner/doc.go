// Package learner keeps how long runs take: pods that finished enter, and what
// they say about their inference on their kind leaves for the status of its
// profile, in few writes.
//
// It decides nothing and answers nothing: decisions read the profiles, which is
// where what was learned comes back from, in every replica and after every
// restart.
//
//	Finished ──▶ runs not yet written, by profile ──▶ Run: every 2 s, the oldest
//	   (only while leading)        ▲                     │ 10 profiles, one write each
//	                               └── changed meanwhile ┘
package learner
