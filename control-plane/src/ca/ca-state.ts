import type { NextRoot, RootRecord, RotationState } from './root-rotation.ts'

const formatVersion = 1

/** A certificate that is no longer accepted although it has not expired. */
export interface RevokedCertificate {
  readonly serial: string
  /** When it can be forgotten. */
  readonly notAfterMs: number
}

/** What the authority writes down beside its keys. Holds no secret. */
export interface CaState {
  readonly trustDomain: string
  readonly rotation: RotationState
  /** Latest issuance, at most a minute ago when written. */
  readonly lastIssuedAtMs: number
  readonly revoked: readonly RevokedCertificate[]
}

/** As JSON. */
export function formatCaState(state: CaState): unknown {
  return { version: formatVersion, ...state }
}

/** @throws when the document is not one that {@link formatCaState} made */
export function parseCaState(document: unknown): CaState {
  if (!isCaState(document)) throw new Error('the stored state of the certificate authority is not readable')
  const { trustDomain, rotation, lastIssuedAtMs, revoked } = document
  return { trustDomain, rotation: { ...rotation, next: rotation.next }, lastIssuedAtMs, revoked }
}

function isCaState(value: unknown): value is CaState {
  if (!isRecord(value) || value.version !== formatVersion) return false
  const { trustDomain, rotation, lastIssuedAtMs, revoked } = value
  return (
    typeof trustDomain === 'string' &&
    typeof lastIssuedAtMs === 'number' &&
    Array.isArray(revoked) &&
    revoked.every(entry => isRecord(entry) && typeof entry.serial === 'string' && typeof entry.notAfterMs === 'number') &&
    isRotation(rotation)
  )
}

function isRotation(value: unknown): value is RotationState {
  if (!isRecord(value)) return false
  const { bundleVersion, signing, next, retired } = value
  return (
    typeof bundleVersion === 'number' &&
    isRoot(signing) &&
    (next === undefined || isNextRoot(next)) &&
    Array.isArray(retired) &&
    retired.every(isRoot)
  )
}

function isNextRoot(value: unknown): value is NextRoot {
  return isRoot(value) && 'publishedAtMs' in value && 'bundleVersion' in value
}

function isRoot(value: unknown): value is RootRecord {
  if (!isRecord(value)) return false
  const { pin, certificatePem, notBeforeMs, notAfterMs, lastLeafNotAfterMs } = value
  const numbers = [notBeforeMs, notAfterMs, lastLeafNotAfterMs]
  return typeof pin === 'string' && typeof certificatePem === 'string' && numbers.every(number => typeof number === 'number')
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
