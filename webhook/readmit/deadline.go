package readmit

import (
	"time"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/readmit/choice"
	"heteroaccel.io/webhook/readmit/pending"
)

// minSlack bounds how often the loop looks at a pod that just about makes its deadline.
const minSlack = 100 * time.Millisecond

// byDeadline is what a pod gains whose deadline has not passed, where the last of its
// group gains so much, and 0 if nothing; and in how long to look at it again because it
// may come to miss that where it is now, 0 for not.
func (r *term) byDeadline(g *pending.Group, gainOfLast time.Duration, p *pending.Pod, ahead int64, d inventory.Deadline, now time.Time) (choice.Contender, time.Duration) {
	c := choice.Contender{Pod: p}
	candidates := r.standing(g.Candidates, p, ahead, d)
	ranked, gain := choice.Better(r.Policy, candidates, p.Template.Kind, r.Rules.MarginOf(p.Owner))
	if ranked == nil {
		slack := choice.Slack(r.Policy, candidates, p.Template.Kind)
		if slack > 0 {
			slack = max(slack, minSlack)
		}
		return c, slack
	}
	if c.Gain = gainOfLast; c.Gain == 0 {
		c.Gain = gain
	}
	if choice.Keeps(ranked, p.Template.Kind) {
		c.Keeps = now.Add(d.Left)
	}
	return c, 0
}
