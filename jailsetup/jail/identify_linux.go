package jail

// Identify names the process that has the number now.
func Identify(pid int) (Process, error) {
	id, err := bootID()
	if err != nil {
		return Process{}, err
	}
	started, err := startTime(pid)
	return Process{pid, started, id}, err
}
