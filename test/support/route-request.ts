import { type HeaderSource, type RouteRequest, readHeader } from '../../src/client/route-request.ts'

/** A request as a router sees it; `GET http://a/` unless said otherwise. */
export function request(path = '/', headers: HeaderSource = {}, more: Partial<RouteRequest> = {}): RouteRequest {
  return { authority: 'a', method: 'GET', scheme: 'http', path, header: name => readHeader(headers, name), ...more }
}
