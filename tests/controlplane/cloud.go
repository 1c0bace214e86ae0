package main

import (
	"context"
	"fmt"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// cloud stands in for a cloud provider and a storage system, as far as charts wait for them: claims of the
// default storage class get a volume, and Services of type LoadBalancer get an address (of a range that
// is kept for documentation, so that nobody answers there).
type cloud struct {
	client kubernetes.Interface
	lastIP atomic.Uint32
}

const (
	storageClass = "standard"
	provisioner  = "e2e.fitout.dev/none"
	// The volume controller asks for a volume by this annotation, and takes one back by it.
	askedAnnotation = "volume.kubernetes.io/storage-provisioner"
	madeAnnotation  = "pv.kubernetes.io/provisioned-by"
)

func startCloud(ctx context.Context, client kubernetes.Interface, factory informers.SharedInformerFactory) error {
	c := &cloud{client: client}
	reclaim, binding, expand := corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingImmediate, true
	_, err := client.StorageV1().StorageClasses().Create(ctx, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        storageClass,
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner:          provisioner,
		ReclaimPolicy:        &reclaim,
		VolumeBindingMode:    &binding,
		AllowVolumeExpansion: &expand,
	}, metav1.CreateOptions{FieldManager: "storage"})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	core := factory.Core().V1()
	for _, watch := range []struct {
		informer cache.SharedIndexInformer
		sync     func(context.Context, any) error
	}{
		{core.PersistentVolumeClaims().Informer(), c.provision},
		{core.PersistentVolumes().Informer(), c.reclaim},
		{core.Services().Informer(), c.balance},
	} {
		// These few objects change seldom, so they are seen to as they come. What fails because of a
		// newer version is seen again with that version.
		see := func(obj any) {
			if err := watch.sync(ctx, obj); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) {
				logUnlessDone(ctx, err, "object", fmt.Sprintf("%T", obj))
			}
		}
		if _, err := watch.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    see,
			UpdateFunc: func(_, now any) { see(now) },
		}); err != nil {
			return err
		}
	}
	return nil
}

func (c *cloud) provision(ctx context.Context, obj any) error {
	claim := obj.(*corev1.PersistentVolumeClaim)
	if claim.Status.Phase != corev1.ClaimPending || claim.DeletionTimestamp != nil ||
		claim.Spec.VolumeName != "" || claim.Annotations[askedAnnotation] != provisioner {
		return nil
	}
	name := "pvc-" + string(claim.UID)
	_, err := c.client.CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{madeAnnotation: provisioner}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      claim.Spec.Resources.Requests,
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    claim.Spec.VolumeMode,
			StorageClassName:              storageClass,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/nowhere/" + name}},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
		},
	}, metav1.CreateOptions{FieldManager: "storage"})
	return err
}

func (c *cloud) reclaim(ctx context.Context, obj any) error {
	volume := obj.(*corev1.PersistentVolume)
	if volume.Status.Phase != corev1.VolumeReleased || volume.DeletionTimestamp != nil ||
		volume.Annotations[madeAnnotation] != provisioner || volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
		return nil
	}
	return c.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &volume.UID}})
}

func (c *cloud) balance(ctx context.Context, obj any) error {
	service := obj.(*corev1.Service)
	if service.Spec.Type != corev1.ServiceTypeLoadBalancer || service.DeletionTimestamp != nil || len(service.Status.LoadBalancer.Ingress) > 0 {
		return nil
	}
	service = service.DeepCopy()
	service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: fmt.Sprintf("192.0.2.%d", c.lastIP.Add(1)%254+1)}}
	_, err := c.client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, service, metav1.UpdateOptions{FieldManager: "cloud"})
	return err
}
