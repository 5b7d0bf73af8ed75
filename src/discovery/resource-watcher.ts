import type { FailureReason } from './model/mesh-config.ts'

/** Why a resource cannot be had, or cannot be had anew. */
export interface ResourceError {
  readonly reason: FailureReason
  readonly message: string
}

/** A resource, or why there is none (gRFC A88's `StatusOr`). */
export type StatusOr<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: ResourceError }

/** Who wants to know of one resource (gRFC A88). */
export interface ResourceWatcher<T> {
  /** It is there, or changed, or cannot be used any more. */
  onResourceChanged(result: StatusOr<T>): void
  /** The one that was given stays in use although the control plane cannot be reached, refuses it or sent a bad one; `undefined`: no more. */
  onAmbientError(error: ResourceError | undefined): void
}
