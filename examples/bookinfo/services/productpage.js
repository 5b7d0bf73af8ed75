// PORT=9080 node --import inmesh/register productpage.js
import { createServer } from 'node:http'

createServer(async (request, response) => {
  const headers = {}
  if (request.headers['end-user']) headers['end-user'] = request.headers['end-user']
  try {
    const [details, reviews] = await Promise.all(
      ['http://details:9080/details/0', 'http://reviews:9080/reviews/0'].map(async url => {
        const answer = await fetch(url, { headers })
        if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
        return answer.json()
      }),
    )
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ instance: process.env.INSTANCE, details, reviews }))
  } catch (error) {
    response.statusCode = 502
    response.end(String(error.cause ?? error))
  }
}).listen(Number(process.env.PORT ?? 9080), '127.0.0.1')
