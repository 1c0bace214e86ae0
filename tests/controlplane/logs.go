package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// serveLogs answers what the API server asks a kubelet for `pods/log`, on a port of loopback that
// every node names as its kubelet's. Nothing runs, so the log of a container is what its environment
// variable LOG says, and one line where it has none.
func (k *kubelet) serveLogs(ctx context.Context, creds *credentials) (port int32, err error) {
	certificate, err := tls.LoadX509KeyPair(creds.certFile, creds.keyFile)
	if err != nil {
		return 0, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.logs)
	server := &http.Server{Handler: mux}
	go func() {
		err := server.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}}))
		logUnlessDone(ctx, err, "logs", listener.Addr().String())
	}()
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	return int32(listener.Addr().(*net.TCPAddr).Port), nil
}

func (k *kubelet) logs(w http.ResponseWriter, r *http.Request) {
	namespace, name, container := r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container")
	pod, err := k.pods.Pods(namespace).Get(name)
	if err != nil {
		http.Error(w, fmt.Sprintf("pod %q not found", name), http.StatusNotFound)
		return
	}
	query := r.URL.Query()
	if refused := refusal(pod, container, query.Get("previous") == "true"); refused != "" {
		http.Error(w, refused, http.StatusBadRequest)
		return
	}
	lines := strings.Split(strings.TrimRight(logOf(pod, container), "\n"), "\n")
	if tail, err := strconv.Atoi(query.Get("tailLines")); err == nil && tail < len(lines) {
		lines = lines[len(lines)-tail:]
	}
	text := strings.Join(lines, "\n") + "\n"
	if limit, err := strconv.Atoi(query.Get("limitBytes")); err == nil && limit < len(text) {
		text = text[:limit]
	}
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprint(w, text)
}

// refusal is why a container has no log, in the words of a kubelet.
func refusal(pod *corev1.Pod, container string, previous bool) string {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, c := range statuses {
			switch {
			case c.Name != container:
			case previous && c.LastTerminationState.Terminated == nil:
				return fmt.Sprintf("previous terminated container %q in pod %q not found", container, pod.Name)
			case c.State.Waiting != nil && c.LastTerminationState.Terminated == nil:
				return fmt.Sprintf("container %q in pod %q is waiting to start: %s", container, pod.Name, c.State.Waiting.Reason)
			}
		}
	}
	return ""
}

func logOf(pod *corev1.Pod, container string) string {
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range containers {
			if c.Name != container {
				continue
			}
			for _, variable := range c.Env {
				if variable.Name == "LOG" {
					return variable.Value
				}
			}
			return "nothing runs of " + c.Image
		}
	}
	return ""
}
