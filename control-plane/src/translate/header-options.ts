import { create } from '@bufbuild/protobuf'
import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  type HeaderValueOption,
  HeaderValueOptionSchema,
} from 'inmesh/gen/envoy/config/core/v3/base_pb'
import { compareText } from '../model/object-meta.ts'
import type { HeaderChanges, HeaderOperations } from '../model/virtual-service.ts'

/** The fields that a route and a weighted cluster share. */
export interface HeaderOptions {
  readonly requestHeadersToAdd: HeaderValueOption[]
  readonly requestHeadersToRemove: string[]
  readonly responseHeadersToAdd: HeaderValueOption[]
  readonly responseHeadersToRemove: string[]
}

/** Translates header operations; what is said of the authority is left to {@link authorityOf}. */
export function headerOptions(...operations: readonly (HeaderOperations | undefined)[]): HeaderOptions {
  const all = operations.filter(each => each !== undefined)
  return {
    requestHeadersToAdd: all.flatMap(({ request }) => additions(request)),
    requestHeadersToRemove: all.flatMap(({ request }) => request.remove),
    responseHeadersToAdd: all.flatMap(({ response }) => additions(response)),
    responseHeadersToRemove: all.flatMap(({ response }) => response.remove),
  }
}

/** The authority that header operations set; one that is set wins over one that is added. */
export function authorityOf(operations: HeaderOperations | undefined): string {
  if (!operations) return ''
  const { set, add } = operations.request
  return [...set, ...add].find(([name]) => isAuthority(name))?.[1] ?? ''
}

function additions({ set, add }: HeaderChanges): HeaderValueOption[] {
  return [...options(set, AppendAction.OVERWRITE_IF_EXISTS_OR_ADD), ...options(add, AppendAction.APPEND_IF_EXISTS_OR_ADD)]
}

function options(values: ReadonlyMap<string, string>, appendAction: AppendAction): HeaderValueOption[] {
  const headers = [...values].filter(([name]) => !isAuthority(name)).sort(([a], [b]) => compareText(a, b))
  return headers.map(([key, value]) => create(HeaderValueOptionSchema, { header: { key, value }, appendAction }))
}

const isAuthority = (name: string) => /^(:authority|host)$/i.test(name)
