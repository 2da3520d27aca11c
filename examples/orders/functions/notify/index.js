// Announces a paid order. Orders without a customer cannot be announced: they fail, and end in the dead letters.

exports.handler = async (event) => {
  const { Message } = event.Records[0].Sns;
  const order = JSON.parse(Message);
  if (!order.customer) {
    throw new Error(`order ${order.orderId} has no customer`);
  }
  console.log(`told ${order.customer} about ${order.orderId}`);
  return { told: order.customer };
};
