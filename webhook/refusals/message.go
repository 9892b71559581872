package refusals

import (
	"regexp"
	"strings"

	"heteroaccel.io/pkg/text"
)

// maxMessage bounds, in bytes, what is kept of a message.
const maxMessage = 300

// byOthers reports whether a controller's report is of a refusal that may depend
// on the pod: not one of our own, and not of a webhook that did not answer.
func byOthers(message string) bool {
	if strings.Contains(message, "pods.heteroaccel.io") {
		return false
	}
	for _, refused := range []string{" is forbidden: ", " is invalid: ", " denied the request"} {
		if strings.Contains(message, refused) {
			return true
		}
	}
	return false
}

// byQuota reports whether a quota refused the pod. The quota plugin runs last:
// everything else has admitted it.
func byQuota(message string) bool { return strings.Contains(message, "exceeded quota: ") }

// podName is how the API server's message begins that refuses a pod, or its claim.
var podName = regexp.MustCompile(`^.*?(?:[Pp]ods?|[Rr]esource[Cc]laims?(?:\.resource\.k8s\.io)?) "[^"]*" is (?:forbidden|invalid): `)

// withoutPodName leaves of the API server's message what is the same for all pods
// of an owner.
func withoutPodName(message string) string {
	return bounded(podName.ReplaceAllString(message, ""))
}

func bounded(message string) string {
	return text.Shorten(strings.Join(strings.Fields(strings.ToValidUTF8(message, "")), " "), maxMessage)
}

// refusedBy is the end of a sentence that begins with the kind.
func refusedBy(message string) string {
	if message == "" {
		return "was refused by the API server or one of its webhooks: no pod was created for two decisions"
	}
	return "was refused by the API server: " + message
}
