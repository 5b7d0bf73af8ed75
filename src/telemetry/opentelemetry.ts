import { createRequire } from 'node:module'
import type * as Api from '@opentelemetry/api'

/**
 * What is used of OpenTelemetry's API, from its CommonJS build: that is the one which the SDK's packages load. An `import` would load the
 * other one beside it, 51 modules of the same.
 */
const api: typeof Api = createRequire(import.meta.url)('@opentelemetry/api')

export const {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  ValueType,
  baggageEntryMetadataFromString,
  context,
  createContextKey,
  createNoopMeter,
  createTraceState,
  isSpanContextValid,
  metrics,
  propagation,
  trace,
} = api

/** Client or server, as a type. */
export type SpanKind = Api.SpanKind
