// VERSION=v2 PORT=9080 node --import inmesh/register reviews.js
import { createServer } from 'node:http'

const version = process.env.VERSION ?? 'v1'
const stars = { v2: 'black', v3: 'red' }[version]

createServer(async (request, response) => {
  const id = new URL(request.url, 'http://reviews').pathname.split('/').pop()
  const reviews = [{ reviewer: 'Reviewer1' }, { reviewer: 'Reviewer2' }]
  try {
    if (stars) {
      const answer = await fetch(`http://ratings:9080/ratings/${id}`)
      const { ratings } = await answer.json()
      for (const review of reviews) review.rating = { stars: ratings[review.reviewer], color: stars }
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ id, version, instance: process.env.INSTANCE, reviews }))
  } catch (error) {
    response.statusCode = 502
    response.end(String(error.cause ?? error))
  }
}).listen(Number(process.env.PORT ?? 9080), '127.0.0.1')
