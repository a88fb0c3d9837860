package budget_test

import (
	"fmt"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
)

// The bucket begins full. When it is empty, successes alone fill it.
func Example() {
	payments, err := budget.New("payments", budget.Config{Size: 2})
	if err != nil {
		panic(err)
	}
	for range 3 {
		fmt.Println(payments.Withdraw(0))
	}
	for range 10 {
		payments.Begin(0)
		payments.End(core.Success)
	}
	fmt.Println(payments.Withdraw(0))
	// Output:
	// true
	// true
	// false
	// true
}

// The caller has left before the attempt was made.
func ExampleBudget_Refund() {
	payments, err := budget.New("payments", budget.Config{})
	if err != nil {
		panic(err)
	}
	now := core.Now()
	if payments.Withdraw(now) {
		payments.Refund(now)
	}
	fmt.Println(payments.Snapshot().Balance)
	// Output: 10
}
