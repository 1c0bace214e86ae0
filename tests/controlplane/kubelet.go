package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/component-base/version"
)

// kubelet stands in for the kubelets of all nodes: it registers the nodes, keeps their leases fresh,
// and moves pods that the scheduler has bound through the states that a kubelet would report:
//
//	Pending, ContainerCreating
//	  └─ after --pod-delay ─→ Running and Ready
//	                            └─ restartPolicy is not Always, after --pod-delay ─→ Succeeded
//
// What a container's image has in its tag foretells that it goes wrong, as in simulated clusters:
//
//	broken     cannot be pulled: Pending, ImagePullBackOff; looked at again when the image changes
//	crash      ends with exit code 1: CrashLoopBackOff, or Failed where restartPolicy is Never
//	unready    Running, and its readiness probe fails for ever
//	unmounted  ContainerCreating for ever: the pod's first volume cannot be mounted
//
// A deleted pod goes at once, without its grace period. Probes, volumes and readiness gates play no
// other part. Logs are what a container's environment variable LOG says (logs.go); `exec` does not
// work, since nothing runs.
//
// kwok was the other way to this. It would be a second binary to build (two minutes and a half), and a second
// process to start, watch and stop for each cluster; and volumes and load balancers, without which real charts
// never get ready either, would still be missing. This is one file against an API that the binary links anyway.
type kubelet struct {
	client   kubernetes.Interface
	pods     corelisters.PodLister
	nodes    map[string]*corev1.Node
	queue    workqueue.TypedRateLimitingInterface[types.NamespacedName]
	recorder record.EventRecorder
	delay    time.Duration
	nextIP   atomic.Uint32
	// since has, for each pod that waits to pass on, when it got into its state: the API's
	// times are whole seconds, and the delay is not.
	since sync.Map // types.UID → time.Time
}

// A fate is what becomes of a container, by the tag of its image.
type fate string

const (
	fine      fate = ""
	broken    fate = "broken"
	crash     fate = "crash"
	unready   fate = "unready"
	unmounted fate = "unmounted"
)

func startKubelet(ctx context.Context, o *options, creds *credentials, client kubernetes.Interface, factory informers.SharedInformerFactory) (*kubelet, error) {
	events := record.NewBroadcaster(record.WithContext(ctx))
	k := &kubelet{
		client:   client,
		pods:     factory.Core().V1().Pods().Lister(),
		nodes:    map[string]*corev1.Node{},
		queue:    workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](10*time.Millisecond, 5*time.Second)),
		recorder: events.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet"}),
		delay:    o.podDelay,
	}
	events.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	logs, err := k.serveLogs(ctx, creds)
	if err != nil {
		return nil, fmt.Errorf("logs: %w", err)
	}
	for i := 1; i <= o.nodes; i++ {
		node := newNode(o, i, logs)
		k.nodes[node.Name] = node
		if err := k.register(ctx, node); err != nil {
			return nil, fmt.Errorf("node %s: %w", node.Name, err)
		}
	}
	_, err = factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    k.enqueue,
		UpdateFunc: func(_, now any) { k.enqueue(now) },
		DeleteFunc: func(obj any) {
			if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = tombstone.Obj
			}
			k.since.Delete(obj.(*corev1.Pod).UID)
		},
	})
	if err != nil {
		return nil, err
	}
	for range 4 {
		go k.work(ctx)
	}
	go func() {
		<-ctx.Done()
		k.queue.ShutDown()
	}()
	go wait.JitterUntilWithContext(ctx, k.renewLeases, 10*time.Second, 0.1, true)
	return k, nil
}

func newNode(o *options, i int, logs int32) *corev1.Node {
	name := fmt.Sprintf("%s-node-%d", o.name, i)
	labels := map[string]string{
		corev1.LabelHostname:           name,
		corev1.LabelOSStable:           "linux",
		corev1.LabelArchStable:         "amd64",
		corev1.LabelInstanceTypeStable: "e2e",
	}
	for k, v := range o.nodeLabels {
		labels[k] = v
	}
	room := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("64"),
		corev1.ResourceMemory:           resource.MustParse("256Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             resource.MustParse("250"),
	}
	now := metav1.Now()
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: kind, Status: status, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status: corev1.NodeStatus{
			Capacity:    room,
			Allocatable: room,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: nodeIP(i)},
				{Type: corev1.NodeHostName, Address: name},
				// Where logs are served, for the API server alone.
				{Type: corev1.NodeExternalIP, Address: "127.0.0.1"},
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: logs}},
			Conditions: []corev1.NodeCondition{
				condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"),
				condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
				condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
				condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
			},
			NodeInfo: corev1.NodeSystemInfo{
				KubeletVersion:          version.Get().GitVersion,
				OperatingSystem:         "linux",
				Architecture:            "amd64",
				ContainerRuntimeVersion: "none://1.0",
				OSImage:                 "none",
				KernelVersion:           "none",
			},
		},
	}
}

func nodeIP(i int) string { return fmt.Sprintf("10.0.0.%d", i) }

func (k *kubelet) register(ctx context.Context, node *corev1.Node) error {
	nodes := k.client.CoreV1().Nodes()
	created, err := nodes.Create(ctx, node, metav1.CreateOptions{FieldManager: "kubelet"})
	if apierrors.IsAlreadyExists(err) {
		// A cluster that is started again: what it knows about the node is old.
		if created, err = nodes.Get(ctx, node.Name, metav1.GetOptions{}); err == nil {
			created.Status = node.Status
			created, err = nodes.UpdateStatus(ctx, created, metav1.UpdateOptions{FieldManager: "kubelet"})
		}
	}
	if err == nil {
		node.UID = created.UID
	}
	return err
}

func (k *kubelet) renewLeases(ctx context.Context) {
	leases := k.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	seconds := int32(40)
	for name, node := range k.nodes {
		now := metav1.NowMicro()
		lease, err := leases.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			_, err = leases.Create(ctx, &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{
					Name:            name,
					OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: name, UID: node.UID}},
				},
				Spec: coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &now},
			}, metav1.CreateOptions{FieldManager: "kubelet"})
		} else if err == nil {
			lease.Spec.RenewTime = &now
			_, err = leases.Update(ctx, lease, metav1.UpdateOptions{FieldManager: "kubelet"})
		}
		logUnlessDone(ctx, err, "lease", name)
	}
}

// waitReady waits until a pod could be created in the default namespace and run on each node, which also
// shows that the controllers work: they take the taint off new nodes and make service accounts.
func (k *kubelet) waitReady(ctx context.Context) error {
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		list, err := k.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, nil
		}
		for _, node := range list.Items {
			if len(node.Spec.Taints) > 0 {
				return false, nil
			}
		}
		_, err = k.client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err == nil && len(list.Items) >= len(k.nodes), nil
	})
	if err != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (k *kubelet) enqueue(obj any) {
	pod := obj.(*corev1.Pod)
	if k.nodes[pod.Spec.NodeName] != nil {
		k.queue.Add(types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
	}
}

func (k *kubelet) work(ctx context.Context) {
	for {
		key, shutdown := k.queue.Get()
		if shutdown {
			return
		}
		after, err := k.sync(ctx, key)
		switch {
		case err == nil, apierrors.IsNotFound(err):
			k.queue.Forget(key)
			if after > 0 {
				k.queue.AddAfter(key, after)
			}
		default:
			// A conflict means that a newer version is on its way to us.
			if !apierrors.IsConflict(err) {
				logUnlessDone(ctx, err, "pod", key.String())
			}
			k.queue.AddRateLimited(key)
		}
		k.queue.Done(key)
	}
}

// sync moves one pod by at most one state, and says when to look at it again (0: when it changes).
func (k *kubelet) sync(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	pod, err := k.pods.Pods(key.Namespace).Get(key.Name)
	if err != nil {
		return 0, err
	}
	if pod.DeletionTimestamp != nil {
		now := int64(0)
		return 0, k.client.CoreV1().Pods(key.Namespace).Delete(ctx, key.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &now,
			Preconditions:      &metav1.Preconditions{UID: &pod.UID},
		})
	}
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return 0, nil
	}

	next := pod.DeepCopy()
	switch {
	case pod.Status.StartTime == nil:
		k.create(next)
		k.since.Store(pod.UID, time.Now())
	case pod.Status.Phase == corev1.PodPending:
		if rest := k.remaining(pod); rest > 0 {
			return rest, nil
		}
		if foretold(pod, unmounted) != nil {
			k.recorder.Event(pod, corev1.EventTypeWarning, "FailedMount", failedMount(pod))
			return 0, nil
		}
		k.run(next)
		k.since.Store(pod.UID, time.Now())
	case pod.Spec.RestartPolicy != corev1.RestartPolicyAlways && foretold(pod, crash) == nil && foretold(pod, unready) == nil:
		if rest := k.remaining(pod); rest > 0 {
			return rest, nil
		}
		k.succeed(next)
		k.since.Delete(pod.UID)
	}
	if equality.Semantic.DeepEqual(pod.Status, next.Status) {
		return 0, nil
	}
	next.Status.ObservedGeneration = pod.Generation
	if _, err := k.client.CoreV1().Pods(key.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{FieldManager: "kubelet"}); err != nil {
		return 0, err
	}
	if pod.Status.StartTime != nil {
		k.tell(pod, next)
	}
	return k.delay, nil
}

// tell records the events of what went wrong with a pod that has just passed on.
func (k *kubelet) tell(pod, next *corev1.Pod) {
	warn := func(reason, format string, args ...any) {
		k.recorder.Eventf(pod, corev1.EventTypeWarning, reason, format, args...)
	}
	if c := foretold(next, broken); c != nil && next.Status.Phase == corev1.PodPending {
		warn("Failed", "Failed to pull image %q: manifest unknown", c.Image)
	}
	if c := foretold(next, crash); c != nil && next.Status.Phase != corev1.PodFailed {
		warn("BackOff", "Back-off restarting failed container %s in pod %s_%s(%s)", c.Name, pod.Name, pod.Namespace, pod.UID)
	}
	if foretold(next, unready) != nil {
		warn("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
	}
}

// failedMount is what a kubelet says of the first volume of a pod.
func failedMount(pod *corev1.Pod) string {
	for _, v := range pod.Spec.Volumes {
		switch {
		case v.Secret != nil:
			return fmt.Sprintf("MountVolume.SetUp failed for volume %q : secret %q not found", v.Name, v.Secret.SecretName)
		case v.ConfigMap != nil:
			return fmt.Sprintf("MountVolume.SetUp failed for volume %q : configmap %q not found", v.Name, v.ConfigMap.Name)
		}
	}
	return "MountVolume.SetUp failed: timed out waiting for the condition"
}

// remaining is how much of the delay is left in the state that the pod is in. After a restart of this
// program nothing is known about it, and it passes on at once.
func (k *kubelet) remaining(pod *corev1.Pod) time.Duration {
	since, ok := k.since.Load(pod.UID)
	if !ok {
		return 0
	}
	return k.delay - time.Since(since.(time.Time))
}

func (k *kubelet) create(pod *corev1.Pod) {
	now := metav1.Now()
	s := &pod.Status
	s.Phase = corev1.PodPending
	s.StartTime = &now
	s.HostIP = k.nodes[pod.Spec.NodeName].Status.Addresses[0].Address
	s.HostIPs = []corev1.HostIP{{IP: s.HostIP}}
	s.InitContainerStatuses = statuses(pod.Spec.InitContainers, waiting("PodInitializing", ""))
	s.ContainerStatuses = statuses(pod.Spec.Containers, waiting("ContainerCreating", ""))
	setReady(pod, corev1.ConditionFalse, len(pod.Spec.InitContainers) == 0, "ContainersNotReady", "containers with unready status")
}

// run starts every container whose image can be pulled, in their order: init containers first, and none
// after one of them that does not start.
func (k *kubelet) run(pod *corev1.Pod) {
	s := &pod.Status
	started := running(metav1.Now())
	initialized, ready := true, true
	oldInit, old := s.InitContainerStatuses, s.ContainerStatuses
	s.InitContainerStatuses = make([]corev1.ContainerStatus, len(pod.Spec.InitContainers))
	for i, c := range pod.Spec.InitContainers {
		sidecar := c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		switch {
		case !initialized:
			s.InitContainerStatuses[i] = waiting("PodInitializing", "")(c)
		case fateOf(c.Image) == broken:
			s.InitContainerStatuses[i] = backOff(c)
			initialized = false
		case fateOf(c.Image) == crash:
			s.InitContainerStatuses[i] = crashed(pod, c)
			initialized = false
		case sidecar:
			s.InitContainerStatuses[i] = started(c)
		default:
			s.InitContainerStatuses[i] = initCompleted(c, metav1.Now())
		}
	}
	s.ContainerStatuses = make([]corev1.ContainerStatus, len(pod.Spec.Containers))
	for i, c := range pod.Spec.Containers {
		switch {
		case !initialized:
			s.ContainerStatuses[i] = waiting("PodInitializing", "")(c)
			ready = false
		case fateOf(c.Image) == broken:
			s.ContainerStatuses[i] = backOff(c)
			ready = false
		case fateOf(c.Image) == crash:
			s.ContainerStatuses[i] = crashed(pod, c)
			ready = false
		case fateOf(c.Image) == unready:
			s.ContainerStatuses[i] = started(c)
			s.ContainerStatuses[i].Ready = false
			ready = false
		default:
			s.ContainerStatuses[i] = started(c)
		}
	}
	keepUnchanged(oldInit, s.InitContainerStatuses)
	keepUnchanged(old, s.ContainerStatuses)
	if s.PodIP == "" {
		s.PodIP = k.podIP(pod)
		s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	}
	s.Phase = phase(pod)
	if !ready {
		setReady(pod, corev1.ConditionFalse, initialized, "ContainersNotReady", "containers with unready status: "+unreadyNames(s.ContainerStatuses))
		return
	}
	setReady(pod, corev1.ConditionTrue, true, "", "")
}

func (k *kubelet) succeed(pod *corev1.Pod) {
	s := &pod.Status
	s.Phase = corev1.PodSucceeded
	now := metav1.Now()
	for i, c := range pod.Spec.InitContainers {
		s.InitContainerStatuses[i] = initCompleted(c, now)
	}
	for i, c := range pod.Spec.Containers {
		s.ContainerStatuses[i] = completed(c, now)
	}
	setReady(pod, corev1.ConditionFalse, true, "PodCompleted", "")
}

func (k *kubelet) podIP(pod *corev1.Pod) string {
	if pod.Spec.HostNetwork {
		return pod.Status.HostIP
	}
	n := k.nextIP.Add(1)
	return fmt.Sprintf("10.244.%d.%d", n>>8&0xff, n&0xff)
}

// phase is Pending as long as a container has never run, and Failed where one has ended for good.
func phase(pod *corev1.Pod) corev1.PodPhase {
	now := corev1.PodRunning
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, c := range statuses {
			switch {
			case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
				return corev1.PodFailed
			case c.State.Waiting != nil && c.LastTerminationState.Terminated == nil:
				now = corev1.PodPending
			}
		}
	}
	return now
}

func unreadyNames(statuses []corev1.ContainerStatus) string {
	var names []string
	for _, c := range statuses {
		if !c.Ready {
			names = append(names, c.Name)
		}
	}
	return fmt.Sprintf("[%s]", strings.Join(names, " "))
}

// fateOf looks at the tag alone: a repository or a digest may be called what it likes.
func fateOf(image string) fate {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	for _, f := range []fate{broken, crash, unready, unmounted} {
		if strings.Contains(tag, string(f)) {
			return f
		}
	}
	return fine
}

// foretold is the first container of a pod that has this fate.
func foretold(pod *corev1.Pod, f fate) *corev1.Container {
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			if fateOf(containers[i].Image) == f {
				return &containers[i]
			}
		}
	}
	return nil
}

func statuses(containers []corev1.Container, of func(corev1.Container) corev1.ContainerStatus) []corev1.ContainerStatus {
	var all []corev1.ContainerStatus
	for _, c := range containers {
		all = append(all, of(c))
	}
	return all
}

func waiting(reason, message string) func(corev1.Container) corev1.ContainerStatus {
	return func(c corev1.Container) corev1.ContainerStatus {
		started := false
		return corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, Started: &started,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}
	}
}

func backOff(c corev1.Container) corev1.ContainerStatus {
	return waiting("ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q", c.Image))(c)
}

// crashed is a container that has ended with an error: for good, or about to be started again.
func crashed(pod *corev1.Pod, c corev1.Container) corev1.ContainerStatus {
	now := metav1.Now()
	status := completed(c, now)
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", StartedAt: now, FinishedAt: now}}
	if pod.Spec.RestartPolicy == corev1.RestartPolicyNever {
		status.State = ended
		return status
	}
	status.RestartCount = 3
	status.LastTerminationState = ended
	status.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
		Reason:  "CrashLoopBackOff",
		Message: fmt.Sprintf("back-off 40s restarting failed container=%s pod=%s_%s(%s)", c.Name, pod.Name, pod.Namespace, pod.UID),
	}}
	return status
}

func running(since metav1.Time) func(corev1.Container) corev1.ContainerStatus {
	return func(c corev1.Container) corev1.ContainerStatus {
		started := true
		return corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: c.Image, ContainerID: "none://" + c.Name, Ready: true, Started: &started,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: since}},
		}
	}
}

func completed(c corev1.Container, at metav1.Time) corev1.ContainerStatus {
	started := false
	return corev1.ContainerStatus{
		Name: c.Name, Image: c.Image, ImageID: c.Image, ContainerID: "none://" + c.Name, Started: &started,
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: at, FinishedAt: at}},
	}
}

// initCompleted differs in that an init container which has completed counts as ready.
func initCompleted(c corev1.Container, at metav1.Time) corev1.ContainerStatus {
	status := completed(c, at)
	status.Ready = true
	return status
}

// keepUnchanged leaves a container that has already got into its state there since when it did, so that
// looking again at a pod which waits for ever changes nothing in it.
func keepUnchanged(before, now []corev1.ContainerStatus) {
	for i := range now {
		if i >= len(before) || before[i].Name != now[i].Name || before[i].Image != now[i].Image {
			continue
		}
		was, is := before[i].State, now[i].State
		if (was.Running != nil) == (is.Running != nil) && (was.Terminated != nil) == (is.Terminated != nil) &&
			equality.Semantic.DeepEqual(was.Waiting, is.Waiting) {
			now[i] = before[i]
		}
	}
}

// setReady sets the conditions that are a kubelet's, and leaves those of others.
func setReady(pod *corev1.Pod, ready corev1.ConditionStatus, initialized bool, reason, message string) {
	set := func(kind corev1.PodConditionType, status corev1.ConditionStatus, reason, message string) {
		c := corev1.PodCondition{
			Type: kind, Status: status, Reason: reason, Message: message,
			LastTransitionTime: metav1.Now(), ObservedGeneration: pod.Generation,
		}
		for i, old := range pod.Status.Conditions {
			if old.Type == kind {
				if old.Status == status {
					c.LastTransitionTime = old.LastTransitionTime
				}
				pod.Status.Conditions[i] = c
				return
			}
		}
		pod.Status.Conditions = append(pod.Status.Conditions, c)
	}
	set(corev1.PodReadyToStartContainers, corev1.ConditionTrue, "", "")
	if initialized {
		set(corev1.PodInitialized, corev1.ConditionTrue, "", "")
	} else {
		set(corev1.PodInitialized, corev1.ConditionFalse, "ContainersNotInitialized", "containers with incomplete status")
	}
	set(corev1.ContainersReady, ready, reason, message)
	set(corev1.PodReady, ready, reason, message)
}
