import type { StringMatch } from '../../model/string-match.ts'
import type { HttpMatch } from '../../model/virtual-service.ts'

/**
 * A match of the Gateway API, which has no more than this. `headers` in lower case; `host` is the authority, by which name clients and
 * proxies know it.
 */
export function gatewayMatch(
  headers: ReadonlyMap<string, StringMatch>,
  given: Pick<HttpMatch, 'uri'> & Partial<Pick<HttpMatch, 'method' | 'queryParams'>>,
): HttpMatch {
  const { uri, method, queryParams = new Map() } = given
  return {
    name: '',
    statPrefix: '',
    uri,
    ignoreUriCase: false,
    method,
    authority: headers.get('host'),
    scheme: undefined,
    headers: new Map([...headers].filter(([name]) => name !== 'host')),
    withoutHeaders: new Map(),
    queryParams,
    port: undefined,
    sourceLabels: {},
    sourceNamespace: '',
    gateways: [],
  }
}
